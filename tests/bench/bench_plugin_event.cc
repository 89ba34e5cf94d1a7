// bench_plugin_event [COUNT]: nanoseconds from the bus handing on an event to the callback of a plugin in the
// arbiter, JSON on stdout. What comes before (the loop's turn) and what the plugin does with it is not in it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <nlohmann/json.hpp>

#include "bus/bus.hpp"
#include "loop/loop.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/gauges.hpp"
#include "plugin/host_table.hpp"
#include "plugin/local_backend.hpp"
#include "plugin/switchboard.hpp"
#include "stream/streams.hpp"

namespace {

using namespace circus;

TimePoint called;

void on_event(void*, circus_str, circus_str) {
    called = Monotonic::now();
}

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 20'000;
    loop::Loop loop;
    SystemClock clock;
    bus::Bus bus(clock, {});
    supervise::HookRegistry hooks;
    plugin::Gauges gauges;
    stream::Streams streams(loop, {});
    plugin::Switchboard board({bus, hooks, gauges, clock, loop, streams});
    plugin::LocalBackend backend(board, "bench");
    plugin::HostTable host(loop, backend, "bench");
    backend.attach(host);
    host.open();
    circus_id id = 0;
    if (host.raw()->subscribe(host.raw(), plugin::to_abi("watcher.*.reap"), on_event, nullptr, &id) !=
        CIRCUS_OK)
        return 1;
    std::vector<long> samples;
    for (int n = 0; n < count; ++n) {
        bus.publish("web", "reap", {{"process_pid", n}, {"exit_code", 0}});
        const TimePoint handed_on = Monotonic::now();
        bus.drain();
        host.deliver(Monotonic::now() + Milliseconds(100));
        samples.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(called - handed_on).count());
    }
    std::sort(samples.begin(), samples.end());
    std::printf("{\"median_ns\": %ld, \"p99_ns\": %ld}\n", samples[samples.size() / 2],
                samples[samples.size() * 99 / 100]);
    host.close();
    return 0;
}
