// Page: what a scrape shows, made of four answers of circusd (`figures`, `listsockets`, `plugins`, `gauge`)
// and of what /proc says of the processes that they name. No label has a pid or anything else that grows
// without bound: names of watchers, sockets, plugins and gauges, reasons, exit codes and signals.
//
// Driven by Exporter, on its thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <circus/plugin.hpp>

#include "process_files.hpp"
#include "series.hpp"

namespace metrics {

struct Sample {
    circus::Json figures, sockets, plugins, gauges;
};

// Where processes are looked up; the product's reads /proc.
struct ProcessSource {
    std::function<std::optional<ProcessUse>(pid_t)> use = read_process;
    std::function<std::optional<std::uint64_t>(pid_t)> descriptors = count_descriptors;
};

class Page {
  public:
    explicit Page(ProcessSource processes = {}) : processes_(std::move(processes)) {}
    // Throws where an answer is not what circusd of this version gives.
    std::vector<prometheus::MetricFamily> make(const Sample& sample);

  private:
    using Json = circus::Json;
    void add_watcher(const std::string& name, const Json& watcher, pid_t keeper);
    void add_ends(const std::string& name, const Json& watcher, bool is_new);
    void add_output(const std::string& name, const Json& watcher);
    void add_use(const std::string& name, const Json& watcher, pid_t keeper, bool is_new);
    void add_socket(const Json& socket);
    void add_plugin(const std::string& name, const Json& plugin);
    void add_gauges(const std::string& watcher, const Json& gauges);
    void add_loop(const Json& loop);
    void add_daemon(const Json& figures);
    // Whether a count that only grows has gone back since the last page: its owner is another one.
    bool has_begun_anew(const std::string& what, double count);

    const ProcessSource processes_;
    Series series_;
    std::map<std::string, double> counts_, counts_before_;  // of has_begun_anew()
};

}  // namespace metrics
