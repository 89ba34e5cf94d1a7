import os

import django
from django.http import JsonResponse
from django.urls import path


def index(_request):
    return JsonResponse({"django": django.get_version(), "process": os.getpid()})


urlpatterns = [path("", index)]
