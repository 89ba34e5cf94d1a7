#include <cstring>

#include "keeper/plan.hpp"
#include "keeper/plan_format.hpp"

namespace circus::keeper {

namespace {

class Writer {
  public:
    Writer(std::vector<std::byte>& out, std::uint64_t strings) : out_(out), strings_(strings) {}

    void put(std::uint64_t at, const void* data, std::size_t size) {
        if (size > 0) std::memcpy(out_.data() + at, data, size);
    }
    // Appends the text with its NUL and returns its offset. A text ends at its first NUL, as it does for
    // exec.
    std::uint64_t string(const std::string& text) {
        const std::uint64_t at = strings_;
        const std::size_t length = std::strlen(text.c_str());
        put(at, text.c_str(), length + 1);
        strings_ += length + 1;
        return at;
    }
    void slots(std::uint64_t at, const std::vector<std::string>& texts) {
        for (const auto& text : texts) {
            const std::uint64_t offset = string(text);
            put(at, &offset, sizeof offset);
            at += sizeof offset;
        }
    }

  private:
    std::vector<std::byte>& out_;
    std::uint64_t strings_;
};

std::size_t bytes_of(const std::vector<std::string>& texts) {
    std::size_t sum = 0;
    for (const auto& text : texts) sum += std::strlen(text.c_str()) + 1;
    return sum;
}

std::uint32_t count32(std::size_t size) {
    return static_cast<std::uint32_t>(size);
}

PlanHeader header_of(const SpawnRequest& request) {
    PlanHeader h;
    h.argv = count32(request.argv.size());
    h.envp = count32(request.envp.size());
    h.candidates = count32(request.candidates.size());
    h.moves = count32(request.fds.size());
    h.rlimits = count32(request.rlimits.size());
    h.groups = count32(request.groups.size());
    h.passed = count32(request.passed.size());
    if (request.uid) h.flags |= PlanHeader::HasUid;
    if (request.gid) h.flags |= PlanHeader::HasGid;
    if (request.umask) h.flags |= PlanHeader::HasUmask;
    if (request.nice) h.flags |= PlanHeader::HasNice;
    if (request.oom_score_adj) h.flags |= PlanHeader::HasOomScore;
    if (request.no_new_privs) h.flags |= PlanHeader::HasNoNewPrivs;
    if (request.kill_tree) h.flags |= PlanHeader::HasKillTree;
    h.uid = request.uid.value_or(0);
    h.gid = request.gid.value_or(0);
    h.umask = request.umask.value_or(0);
    h.nice = request.nice.value_or(0);
    h.oom_score_adj = request.oom_score_adj.value_or(0);
    h.stop_signal = request.stop_signal;
    h.graceful_timeout_ms = request.graceful_timeout_ms;
    return h;
}

}  // namespace

std::vector<std::byte> encode_plan(const SpawnRequest& request) {
    PlanHeader header = header_of(request);
    const PlanLayout layout(header);
    std::size_t strings = bytes_of(request.argv) + bytes_of(request.envp) + bytes_of(request.candidates);
    strings += request.chroot.size() + 1 + request.working_dir.size() + 1;
    std::vector<std::byte> out(layout.strings + strings);
    header.size = count32(out.size());

    Writer writer(out, layout.strings);
    writer.slots(layout.argv, request.argv);
    writer.slots(layout.envp, request.envp);
    writer.slots(layout.candidates, request.candidates);
    if (!request.chroot.empty()) header.chroot = count32(writer.string(request.chroot));
    if (!request.working_dir.empty()) header.working_dir = count32(writer.string(request.working_dir));

    std::uint64_t at = layout.moves;
    for (const auto& move : request.fds) {
        const PlanMove row{static_cast<std::uint32_t>(move.from), move.target, move.source};
        writer.put(at, &row, sizeof row);
        at += sizeof row;
    }
    at = layout.rlimits;
    for (const auto& limit : request.rlimits) {
        const PlanRlimit row{limit.resource, 0, limit.soft, limit.hard};
        writer.put(at, &row, sizeof row);
        at += sizeof row;
    }
    writer.put(layout.groups, request.groups.data(), request.groups.size() * sizeof(gid_t));
    writer.put(0, &header, sizeof header);
    return out;
}

}  // namespace circus::keeper
