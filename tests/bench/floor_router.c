/* The floor of the control socket: a bare ROUTER that answers every request with a reply of SIZE bytes,
 * whatever was asked. No JSON, no loop, no state: what circusd takes longer than this is circusd's own.
 *
 *     floor_router ENDPOINT SIZE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

static void die(const char* what) {
    fprintf(stderr, "floor_router: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

int main(int argc, char** argv) {
    long size = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (size < 1 || size > 1 << 26) {
        fputs("usage: floor_router ENDPOINT SIZE\n", stderr);
        return 2;
    }
    char* reply = malloc((size_t)size);
    void* context = zmq_ctx_new();
    void* router = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    if (reply == NULL || router == NULL) die("socket");
    memset(reply, 'x', (size_t)size);
    if (zmq_bind(router, argv[1]) != 0) die(argv[1]);
    for (;;) {
        zmq_msg_t identity, request;
        zmq_msg_init(&identity);
        zmq_msg_init(&request);
        if (zmq_msg_recv(&identity, router, 0) < 0 || zmq_msg_recv(&request, router, 0) < 0) die("receiving");
        zmq_msg_close(&request);
        if (zmq_msg_send(&identity, router, ZMQ_SNDMORE) < 0 || zmq_send(router, reply, (size_t)size, 0) < 0)
            die("sending");
    }
}
