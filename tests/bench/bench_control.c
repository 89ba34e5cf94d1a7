/* Asks one thing again and again over the control socket and says how long the answers took. Prints one JSON
 * object; times in nanoseconds.
 *
 *     bench_control --endpoint E [--clients N] [--seconds S] [--pause-us U] [--show] -- REQUEST
 *
 * Each client is a DEALER in a thread of its own that asks, waits for the answer, and asks again, after a
 * pause if one was asked for. What is counted begins after a warm-up of a tenth of the time. With --show it
 * asks once and prints the answer instead. It does not know who answers, so floor_router and circusd go
 * through the very same steps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "figures.h"

enum { kMaxClients = 64, kMaxSamples = 1 << 20, kPatienceMs = 20000 };

static const char* endpoint;
static const char* request;
static long pause_us;
static uint64_t count_from, count_until;

struct client {
    pthread_t thread;
    void* context;
    uint64_t* times;
    size_t answers, kept;
    size_t reply_size;
};

static void die(const char* what) {
    fprintf(stderr, "bench_control: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void* connect_to(void* context) {
    void* dealer = zmq_socket(context, ZMQ_DEALER);
    int linger = 0, patience = kPatienceMs;
    if (dealer == NULL || zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &patience, sizeof patience) != 0 ||
        zmq_connect(dealer, endpoint) != 0)
        die(endpoint);
    return dealer;
}

static void ask(void* dealer, zmq_msg_t* answer) {
    if (zmq_send(dealer, request, strlen(request), 0) < 0) die("sending");
    zmq_msg_init(answer);
    if (zmq_msg_recv(answer, dealer, 0) < 0) die("no answer");
}

static void* serve(void* argument) {
    struct client* client = argument;
    void* dealer = connect_to(client->context);
    for (;;) {
        zmq_msg_t answer;
        uint64_t begin = now_ns();
        ask(dealer, &answer);
        uint64_t end = now_ns();
        client->reply_size = zmq_msg_size(&answer);
        zmq_msg_close(&answer);
        if (end >= count_until) break;
        if (begin >= count_from) {
            ++client->answers;
            if (client->kept < kMaxSamples) client->times[client->kept++] = end - begin;
        }
        if (pause_us > 0) sleep_us(pause_us);
    }
    zmq_close(dealer);
    return NULL;
}

static void show(void* context) {
    void* dealer = connect_to(context);
    zmq_msg_t answer;
    ask(dealer, &answer);
    fwrite(zmq_msg_data(&answer), 1, zmq_msg_size(&answer), stdout);
    putchar('\n');
    zmq_msg_close(&answer);
    zmq_close(dealer);
}

static void measure(void* context, long count, double seconds) {
    struct client* clients = calloc((size_t)count, sizeof *clients);
    if (clients == NULL) die("memory");
    uint64_t begin = now_ns();
    count_from = begin + (uint64_t)(seconds * 1e8);
    count_until = count_from + (uint64_t)(seconds * 1e9);
    for (long i = 0; i < count; ++i) {
        clients[i] = (struct client){.context = context, .times = malloc(kMaxSamples * sizeof(uint64_t))};
        if (clients[i].times == NULL || pthread_create(&clients[i].thread, NULL, serve, &clients[i]) != 0)
            die("starting a client");
    }
    size_t answers = 0, kept = 0;
    for (long i = 0; i < count; ++i) {
        pthread_join(clients[i].thread, NULL);
        answers += clients[i].answers;
        kept += clients[i].kept;
    }
    uint64_t* all = malloc((kept + 1) * sizeof *all);
    if (all == NULL) die("memory");
    size_t filled = 0;
    for (long i = 0; i < count; ++i) {
        memcpy(all + filled, clients[i].times, clients[i].kept * sizeof *all);
        filled += clients[i].kept;
        free(clients[i].times);
    }
    sort_times(all, kept);
    printf("{\"rate\": %.1f, \"answers\": %zu, \"median\": %" PRIu64 ", \"p99\": %" PRIu64
           ", \"worst\": %" PRIu64 ", \"reply\": %zu}\n",
           (double)answers / seconds, answers, percentile(all, kept, 50), percentile(all, kept, 99),
           percentile(all, kept, 100), clients[0].reply_size);
    free(all);
    free(clients);
}

int main(int argc, char** argv) {
    static const struct option kOptions[] = {
        {"endpoint", required_argument, NULL, 'e'}, {"clients", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},  {"pause-us", required_argument, NULL, 'p'},
        {"show", no_argument, NULL, 'o'},           {NULL, 0, NULL, 0}};
    long clients = 1;
    double seconds = 1;
    bool once = false;
    for (int option; (option = getopt_long(argc, argv, "+", kOptions, NULL)) != -1;) {
        switch (option) {
            case 'e':
                endpoint = optarg;
                break;
            case 'c':
                clients = strtol(optarg, NULL, 10);
                break;
            case 's':
                seconds = strtod(optarg, NULL);
                break;
            case 'p':
                pause_us = strtol(optarg, NULL, 10);
                break;
            case 'o':
                once = true;
                break;
            default:
                return 2;
        }
    }
    if (endpoint == NULL || optind != argc - 1 || clients < 1 || clients > kMaxClients || !(seconds > 0)) {
        fputs(
            "usage: bench_control --endpoint E [--clients N] [--seconds S] [--pause-us U] [--show] -- "
            "REQUEST\n",
            stderr);
        return 2;
    }
    request = argv[optind];
    void* context = zmq_ctx_new();
    if (context == NULL) die("context");
    if (once)
        show(context);
    else
        measure(context, clients, seconds);
    zmq_ctx_term(context);
    return 0;
}
