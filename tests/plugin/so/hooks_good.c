/* A library of hooks: says yes, no, later, and answers with fields. */
#include <string.h>

#include <circus/abi.h>

CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1 = {sizeof(circus_hooks_stamp), CIRCUS_ABI_MAJOR,
                                                          CIRCUS_ABI_MINOR};

static circus_str text(const char* s) {
    circus_str out;
    out.data = s;
    out.len = strlen(s);
    return out;
}

CIRCUS_EXPORT circus_status yes(void* user, const circus_hook_call* call);
circus_status yes(void* user, const circus_hook_call* call) {
    (void)user;
    (void)call;
    return CIRCUS_OK;
}

CIRCUS_EXPORT circus_status no(void* user, const circus_hook_call* call);
circus_status no(void* user, const circus_hook_call* call) {
    const circus_host* host = user;
    (void)call;
    host->set_error(host, text("it is raining"));
    return CIRCUS_DENY;
}

CIRCUS_EXPORT circus_status again(void* user, const circus_hook_call* call);
circus_status again(void* user, const circus_hook_call* call) {
    const circus_host* host = user;
    host->complete(host, call->answer, CIRCUS_DENY, text("{\"retry\": true, \"reason\": \"not yet\"}"));
    return CIRCUS_PENDING;
}

CIRCUS_EXPORT circus_status figures(void* user, const circus_hook_call* call);
circus_status figures(void* user, const circus_hook_call* call) {
    const circus_host* host = user;
    host->complete(host, call->answer, CIRCUS_OK, text("{\"requests\": 7}"));
    return CIRCUS_PENDING;
}

CIRCUS_EXPORT circus_status again_by_status(void* user, const circus_hook_call* call);
circus_status again_by_status(void* user, const circus_hook_call* call) {
    const circus_host* host = user;
    (void)call;
    host->set_error(host, text("the tide is out"));
    return CIRCUS_E_AGAIN;
}
