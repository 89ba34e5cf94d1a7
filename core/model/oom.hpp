// OomLedger: whether SIGKILLs that circusd did not send came from the kernel, which had no memory left. It
// counts its victims, and counts before it kills; so a counter that did not grow acquits it, and one that did
// convicts it where the counter is that of the workers' own control group, and there is one kill for each
// that is in question. Otherwise it stays open.
//
// The counters must be looked at now and then: what happened long before a death is no evidence. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "model/death.hpp"

namespace circus::model {

struct OomCounts {
    std::optional<std::uint64_t> here;     // victims in the control group that the workers are in
    std::optional<std::uint64_t> machine;  // and anywhere
};

class OomLedger {
  public:
    // Kills from before the look before this one are nobody's any more. Two looks, because one may come
    // between a kill and its victim's funeral.
    void refresh(const OomCounts& now) {
        here_.refresh(now.here);
        machine_.refresh(now.machine);
    }
    // So many ended by a SIGKILL from somewhere.
    Known attribute(const OomCounts& now, std::uint64_t victims) {
        const auto here = here_.take(now.here, victims);
        const auto machine = machine_.take(now.machine, victims);
        if (here && *here >= victims) return Known::Yes;
        // Somebody was killed, perhaps in a group of his own.
        if ((here && *here > 0) || (machine && *machine > 0)) return Known::Unknown;
        return here || machine ? Known::No : Known::Unknown;
    }

  private:
    class Counter {
      public:
        void refresh(const std::optional<std::uint64_t>& now) {
            older_ = newer_ ? newer_ : now;
            newer_ = now;
        }
        // How much it grew, of which `count` is spoken for from now on.
        std::optional<std::uint64_t> take(const std::optional<std::uint64_t>& now, std::uint64_t count) {
            if (!older_ || !now) return std::nullopt;
            const std::uint64_t growth = *now - std::min(*now, *older_);
            *older_ += std::min(growth, count);
            newer_ = std::max(newer_, older_);
            return growth;
        }

      private:
        std::optional<std::uint64_t> older_, newer_;
    };
    Counter here_, machine_;
};

}  // namespace circus::model
