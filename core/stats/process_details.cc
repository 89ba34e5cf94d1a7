#include "stats/process_details.hpp"

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "base/text.hpp"
#include "stats/process_object.hpp"
#include "sys/procfs.hpp"

namespace circus::stats {

std::string details_of(pid_t pid) {
    const auto file = sys::StatFile::open(pid);
    sys::ProcessFigures figures;
    if (!file) return {};
    std::string members, absent;
    const auto add = [&](std::string_view name, const Result<std::uint64_t>& figure) {
        if (figure) {
            members += cat(",\"", name, "\":", *figure);
            return;
        }
        members += cat(",\"", name, "\":null");
        absent += cat(absent.empty() ? "" : ",", "\"", name, "\":", quoted(figure.error().text));
    };
    add("fds", sys::open_descriptors(pid));
    add("pss", sys::proportional_bytes(pid));
    // What was looked up by the pid is of this process if it is still there.
    if (!file->read(figures)) return {};
    members = cat("\"threads\":", figures.threads, members);
    return absent.empty() ? members : cat(members, ",\"absent\":{", absent, "}");
}

}  // namespace circus::stats
