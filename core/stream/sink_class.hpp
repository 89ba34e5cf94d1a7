// SinkClass: one row for each class of streams that circusd has by itself: its name, which streams share a
// sink, and how the sink is made. (Its options, as a user writes them, are a row of config/stream_options.cc.
// Classes that come at run time are LoopSinks.)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "stream/compressor.hpp"
#include "stream/handover.hpp"
#include "stream/last_lines.hpp"
#include "stream/line_prefix.hpp"
#include "stream/output_count.hpp"
#include "stream/ring.hpp"
#include "stream/sink.hpp"

namespace circus::stream {

// A stream as Streams hands it to the pump, with what the two sides share.
struct SinkRequest {
    StreamSpec spec{};
    std::string key{};  // of its sink: streams of the same key share one
    std::shared_ptr<Ring> ring{};
    std::shared_ptr<LastLines> last_lines{};  // of the one output; null: `ring` has them
    std::shared_ptr<Handover> handover{};     // of a class that was offered
    std::shared_ptr<OutputCount> count{};     // of the one output; null: nobody counts
};

// What sinks are made of.
struct SinkParts {
    Sink::Report report;
    int stdout_fd;
    int wake;
    Compressor& compressor;
};

struct SinkClass {
    std::string_view name;
    bool has_file = false;
    bool has_ring = false;
    std::unique_ptr<Sink> (*make)(const SinkRequest&, const SinkParts&) = nullptr;
    // The rules of the latest stream apply to a sink that is shared. May be null.
    void (*configure)(Sink&, const StreamSpec&) = nullptr;
    bool is_fancy = false;  // each line in a colour, behind the time
};

const SinkClass* find_sink_class(std::string_view name);  // null: none of circusd's own

// Of `request`, whose class may be one that was offered.
std::unique_ptr<Sink> make_sink(const SinkRequest& request, const SinkParts& parts);
void configure_sink(Sink& sink, const SinkRequest& request);
LinePrefix line_prefix(const StreamSpec& spec);

// 1 to 7 as in the escape sequence; 0: no such colour.
int color_number(std::string_view name);
std::string_view random_color();

}  // namespace circus::stream
