// Scaled: one watcher that the autoscaler looks after: its options, what is known of its load and its
// processes, its policy and the decisions of late. Nothing here calls the host.
//
// Its options are, later wins: the plugin's section, the watcher's `autoscale` table, what an operator has
// set. Options that contradict each other leave the watcher alone until they do not.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "crew.hpp"
#include "knobs.hpp"
#include "load.hpp"
#include "policy.hpp"

namespace autoscaler {

struct Scaled {
    static constexpr std::size_t kKept = 100;

    // True: they are others than before. Throws circus::Failure.
    bool read(const Json& section, const Json& written) {
        Json merged = section;
        merged.update(written);
        merged.update(set);
        if (policy && merged == options) return false;
        options = std::move(merged);
        policy_problem.clear();
        try {
            knobs = read_knobs(options);
        } catch (const std::exception& wrong) {
            policy_problem = wrong.what();
            throw;
        }
        if (policy)
            policy->change(knobs.settings);
        else
            policy.emplace(knobs.settings);
        if (past) policy->go_on(*std::exchange(past, std::nullopt));
        return true;
    }
    void keep(Decision decision) {
        decisions.push_back(std::move(decision));
        if (decisions.size() > kKept) decisions.pop_front();
    }

    Json table = Json::object();  // of the watcher's section
    Json set = Json::object();    // by `autoscale set`
    Json options = Json::object();
    std::string policy_problem;  // why it is left alone; empty: it is not
    Knobs knobs;
    std::optional<Policy> policy;
    std::optional<Policy::Past> past;  // of the arbiter before, until there is a policy
    Load load;
    Crew crew;
    std::deque<Decision> decisions;
    bool has_sockets = false;
    bool is_asking = false;    // a look is under way
    bool is_changing = false;  // what was decided is under way
    bool is_paused = false;
    int told = -1;  // what a dry run told last
};

}  // namespace autoscaler
