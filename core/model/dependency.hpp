// Whether a watcher may start, as far as those it depends on are concerned. Pure.
#pragma once

namespace circus::model {

// What a watcher has reached since it was started last. One that ended by itself keeps it; a stop or a
// restart takes it back.
struct Milestones {
    bool started = false;    // each of its slots was spawned
    bool ready = false;      // each of them counted
    bool completed = false;  // it ended by itself, each process with 0
};

enum class DependencyGoal : unsigned char { Started, Ready, Completed };

enum class DependencyState : unsigned char {
    Met,
    Awaited,
    Hopeless,  // what is waited for is not wanted any more, or there is no such watcher
};

// `up`: it is wanted, or waits for a connection, which is as good as running.
constexpr DependencyState state_of(DependencyGoal goal, const Milestones& reached, bool up, bool armed) {
    const bool met = goal == DependencyGoal::Completed ? reached.completed
                     : armed                           ? true
                     : goal == DependencyGoal::Started ? reached.started
                                                       : reached.ready;
    if (met) return DependencyState::Met;
    return up ? DependencyState::Awaited : DependencyState::Hopeless;
}

}  // namespace circus::model
