#include "supervise/memory_watch.hpp"

#include <memory>
#include <utility>

#include "sys/procfs.hpp"

namespace circus::supervise {

void MemoryWatch::want(bool wanted, TimePoint now) {
    if (!wanted || !worker_)
        next_.reset();
    else if (!next_)
        next_ = now + kPeriod;
}

void MemoryWatch::look(TimePoint now, std::vector<Subject> subjects, std::function<void(const Uses&)> told) {
    next_ = now + kPeriod;
    // The worker may be held up by a file or a name server: rounds do not pile up behind it.
    if (busy_ || subjects.empty()) return;
    busy_ = true;
    const auto uses = std::make_shared<Uses>();
    worker_->run(
        [uses, subjects = std::move(subjects)] {
            for (const Subject& subject : subjects)
                uses->emplace(subject.id, sys::resident_bytes_of_tree(subject.pid));
        },
        [this, uses, told = std::move(told)] {
            busy_ = false;
            told(*uses);
        });
}

}  // namespace circus::supervise
