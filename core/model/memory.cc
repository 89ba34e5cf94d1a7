#include "model/memory.hpp"

#include <algorithm>

namespace circus::model {

MemoryVerdict judge(const std::vector<MemoryUse>& processes, const MemoryLimits& limits) {
    MemoryVerdict verdict;
    bool busy = false;
    for (std::size_t i = 0; i < processes.size(); ++i) {
        const MemoryUse& use = processes[i];
        // Also one that is on its way out: its memory is needed now.
        if (limits.max != 0 && use.bytes > limits.max) verdict.kill.push_back(i);
        busy = busy || use.leaving;
    }
    if (limits.soft == 0 || busy) return verdict;
    for (std::size_t i = 0; i < processes.size(); ++i) {
        if (processes[i].bytes <= limits.soft) continue;
        if (std::find(verdict.kill.begin(), verdict.kill.end(), i) != verdict.kill.end()) continue;
        if (!verdict.replace || processes[i].bytes > processes[*verdict.replace].bytes) verdict.replace = i;
    }
    return verdict;
}

}  // namespace circus::model
