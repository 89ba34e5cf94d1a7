#include "stream/sink_class.hpp"

#include <array>
#include <random>

#include "stream/file_sink.hpp"
#include "stream/queue_sink.hpp"
#include "stream/stdout_sink.hpp"

namespace circus::stream {

namespace {

std::unique_ptr<Sink> make_file(const SinkRequest& request, const SinkParts& parts) {
    return std::make_unique<FileSink>(request.spec.filename, parts.report, parts.compressor);
}

std::unique_ptr<Sink> make_stdout(const SinkRequest&, const SinkParts& parts) {
    return std::make_unique<StdoutSink>(parts.stdout_fd, parts.wake, parts.report);
}

std::unique_ptr<Sink> make_queue(const SinkRequest& request, const SinkParts&) {
    return std::make_unique<QueueSink>(request.ring);
}

void rotate_by_size(Sink& sink, const StreamSpec& spec) {
    static_cast<FileSink&>(sink).set_rules(
        {spec.max_bytes, {spec.backup_count, std::nullopt, spec.compress}, false});
}

void watch(Sink& sink, const StreamSpec&) {
    static_cast<FileSink&>(sink).set_rules({0, {}, true});
}

void rotate_by_time(Sink& sink, const StreamSpec& spec) {
    static_cast<FileSink&>(sink).set_rules(
        {0,
         {spec.backup_count, Schedule::make(spec.rotate_when, spec.rotate_interval, spec.utc), spec.compress},
         false});
}

constexpr std::array kClasses{
    SinkClass{.name = "FileStream", .has_file = true, .make = make_file, .configure = rotate_by_size},
    SinkClass{.name = "WatchedFileStream", .has_file = true, .make = make_file, .configure = watch},
    SinkClass{
        .name = "TimedRotatingFileStream", .has_file = true, .make = make_file, .configure = rotate_by_time},
    SinkClass{.name = "StdoutStream", .make = make_stdout},
    SinkClass{.name = "FancyStdoutStream", .make = make_stdout, .is_fancy = true},
    SinkClass{.name = "QueueStream", .has_ring = true, .make = make_queue},
};

constexpr std::array<std::string_view, 7> kColors{"red",     "green", "yellow", "blue",
                                                  "magenta", "cyan",  "white"};

}  // namespace

const SinkClass* find_sink_class(std::string_view name) {
    for (const SinkClass& row : kClasses)
        if (row.name == name) return &row;
    return nullptr;
}

std::unique_ptr<Sink> make_sink(const SinkRequest& request, const SinkParts& parts) {
    if (request.handover) return std::make_unique<HandoverSink>(request.handover, parts.wake, parts.report);
    return find_sink_class(request.spec.class_name)->make(request, parts);
}

void configure_sink(Sink& sink, const SinkRequest& request) {
    const SinkClass* row = find_sink_class(request.spec.class_name);
    if (row && row->configure) row->configure(sink, request.spec);
}

LinePrefix line_prefix(const StreamSpec& spec) {
    const SinkClass* row = find_sink_class(spec.class_name);
    if (!row || !row->is_fancy) return LinePrefix(spec.time_format);
    return LinePrefix(spec.time_format.empty() ? "%Y-%m-%d %H:%M:%S" : spec.time_format,
                      color_number(spec.color));
}

int color_number(std::string_view name) {
    for (std::size_t i = 0; i < kColors.size(); ++i)
        if (kColors[i] == name) return static_cast<int>(i) + 1;
    return 0;
}

std::string_view random_color() {
    std::random_device source;
    return kColors[std::uniform_int_distribution<std::size_t>(0, kColors.size() - 1)(source)];
}

}  // namespace circus::stream
