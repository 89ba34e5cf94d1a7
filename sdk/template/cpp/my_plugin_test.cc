#include <cstdio>
#include <cstdlib>

#include <circus/testing.hpp>

namespace {

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::exit(1);
}

}  // namespace

int main() {
    circus::testing::FakeHost host;
    expect(host.start({{"watchers", "web"}}) == CIRCUS_OK, "it starts");
    host.emit("watcher.web.reap", {{"process_pid", 7}});
    host.emit("watcher.web.spawn", {{"process_pid", 8}});
    host.emit("watcher.db.reap", {{"process_pid", 9}});
    expect(host.command("my_plugin").fields == circus::testing::Json{{"deaths", 1}},
           "it counts deaths of web only");
}
