// Any JSON as what a plugin's process says, as what it is told, and as the answers that the stats stream is
// made of: it is refused by an exception of JSON's, or understood.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "../../plugins/stats/frames.hpp"
#include "plugin/frames.hpp"

namespace {

template <class Call>
void refused_or_not(Call call) {
    try {
        call();
    } catch (const nlohmann::json::exception&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const circus::Json frame = circus::plugin::parse_frame(text);
    if (frame.is_object()) refused_or_not([&] { circus::plugin::chunks_of(frame, "some bytes of workers"); });
    const circus::Json value = circus::Json::parse(text, nullptr, false);
    if (value.is_discarded()) return 0;
    stats::Frames frames;
    refused_or_not([&] { stats::add_watchers(frames, value); });
    refused_or_not([&] { stats::add_daemon(frames, value); });
    stats::Reads reads;
    refused_or_not([&] { reads.add_to(frames, value); });
    refused_or_not([&] { reads.add_to(frames, value); });
    for (const auto& each : frames)
        if (!circus::Json::accept(each.payload)) std::abort();
    return 0;
}
