#include "supervise/hook_calls.hpp"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>
#include <sysexits.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/spawn_plan.hpp"
#include "sys/capture.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

using keeper::FdMove;
using model::HookPoint;
using model::ProcessAct;
using model::ProcessEvent;

namespace {

HookCall call_of(const config::WatcherConfig& config, const HookFacts& facts) {
    Json args = Json::object();
    if (facts.wid != 0) args["wid"] = facts.wid;
    if (facts.pid != 0) args["pid"] = facts.pid;
    if (facts.signum) args["signum"] = *facts.signum;
    if (facts.exit_code) args["exit_code"] = *facts.exit_code;
    if (!facts.stats.empty()) args["stats"] = Json::parse(facts.stats, nullptr, false);
    return {std::string(to_string(facts.point)), config.name,
            args.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

HookAnswer answer_of(int status) {
    if (WIFSIGNALED(status))
        return {HookVerdict::Error, cat("was ended by ", sys::signal_name(WTERMSIG(status)))};
    const int code = WEXITSTATUS(status);
    if (code == EX_OK) return {HookVerdict::Ok, {}};
    return {code == EX_TEMPFAIL ? HookVerdict::Retry : HookVerdict::Deny, cat("exited with ", code)};
}

constexpr const char* kNoLibraries = "libraries are not available in this version of circusd";

const char* said(HookVerdict verdict) {
    switch (verdict) {
        case HookVerdict::Ok:
            return "said yes";
        case HookVerdict::Deny:
            return "said no";
        case HookVerdict::Retry:
            return "is to be asked again";
        case HookVerdict::Error:
            return "failed";
    }
    return "";
}

}  // namespace

HookCalls::HookCalls(const config::WatcherConfig& config, const Identity& identity, Stack& stack,
                     std::function<void(ChildId)> owns, std::function<void()> mark)
    : config_(config), identity_(identity), stack_(stack), owns_(std::move(owns)), mark_(std::move(mark)) {}

HookCalls::~HookCalls() {
    for (const auto& [id, call] : calls_) stack_.asked.erase(id);
}

bool HookCalls::is_hooked(const config::WatcherConfig& config, const Stack& stack, HookPoint point) {
    if (config.hooks.contains(point)) return true;
    return stack.hooks && !stack.hooks->empty() &&
           !stack.hooks->matching(to_string(point), config.name).empty();
}

Status HookCalls::load(const config::WatcherConfig& config, const Stack& stack) {
    Status first = Ok{};
    for (const auto& [point, hook] : config.hooks) {
        if (hook.library.empty()) continue;
        const std::string where = cat(hook.place.empty() ? "" : hook.place + ": ", "watcher ", config.name,
                                      ": hooks.", to_string(point), ": ");
        if (!stack.hook_libraries) return Error{where + kNoLibraries, 5};
        if (auto loaded = stack.hook_libraries->load(hook.library, hook.function); !loaded && first)
            first = Error{where + loaded.error().text, 5};
    }
    return first;
}

// ---- questions ----

void HookCalls::ask(HookFacts facts, Then then) {
    if (closed_) return;
    const QuestionId id = next_question_++;
    const HookPoint point = facts.point;
    const HookFacts& kept =
        questions_.emplace(id, Question{std::move(facts), std::move(then), 0, {}}).first->second.facts;
    if (const auto hook = config_.hooks.find(point); hook != config_.hooks.end()) {
        const HookCallId call = add_call(id, hook->second);
        if (hook->second.library.empty())
            call_command(call, kept);
        else
            call_library(call, kept);
    }
    if (stack_.hooks)
        for (const HookFn& function : stack_.hooks->matching(to_string(point), config_.name))
            call_function(add_call(id, {}), kept, function);
    if (questions_.at(id).open == 0) questions_.erase(id);  // the last of them was taken away just now
}

HookCallId HookCalls::add_call(QuestionId question, config::HookConfig hook) {
    const HookCallId id = stack_.next_call++;
    Call call;
    call.question = question;
    call.hook = std::move(hook);
    calls_.emplace(id, std::move(call));
    stack_.asked[id] = this;
    ++questions_.at(question).open;
    return id;
}

void HookCalls::call_function(HookCallId id, const HookFacts& facts, const HookFn& function) {
    Call& call = calls_.at(id);
    call.deadline = stack_.clock.now() + from_seconds(call.hook.timeout);
    mark_();  // for the alarm of the deadline
    function(call_of(config_, facts), [&asked = stack_.asked, id](HookAnswer answer) {
        if (const auto at = asked.find(id); at != asked.end()) at->second->answered(id, std::move(answer));
    });
}

void HookCalls::call_library(HookCallId id, const HookFacts& facts) {
    const config::HookConfig& hook = calls_.at(id).hook;
    const auto key = std::pair(hook.library, hook.function);
    auto known = functions_.find(key);
    if (known == functions_.end()) {
        if (!stack_.hook_libraries) return answered(id, {HookVerdict::Error, kNoLibraries});
        auto loaded = stack_.hook_libraries->load(hook.library, hook.function);
        if (!loaded) return answered(id, {HookVerdict::Error, loaded.error().text});
        known = functions_.emplace(key, std::move(*loaded)).first;
    }
    call_function(id, facts, known->second);
}

void HookCalls::cancel(std::initializer_list<HookPoint> points) {
    for (auto at = calls_.begin(); at != calls_.end();) {
        const HookCallId id = at->first;
        const auto question = questions_.find(at->second.question);
        const HookPoint point = question->second.facts.point;
        ++at;
        if (std::find(points.begin(), points.end(), point) == points.end()) continue;
        if (--question->second.open == 0) questions_.erase(question);
        let_go(id);
    }
}

void HookCalls::close() {
    closed_ = true;
    while (!calls_.empty()) let_go(calls_.begin()->first);
    for (const auto& [id, question] : std::exchange(questions_, {}))
        if (question.facts.point == HookPoint::ExtendedStats && question.then)
            question.then({model::HookOutcome::Abort, "circusd is being stopped", {}});
}

// The call is over, whatever comes of it.
void HookCalls::let_go(HookCallId id) {
    const auto at = calls_.find(id);
    if (at->second.child != 0) kill(at->second.child);
    stack_.asked.erase(id);
    calls_.erase(at);
}

// ---- answers ----

void HookCalls::answered(HookCallId id, HookAnswer answer) {
    Call& call = calls_.at(id);
    if (call.answer) return;
    call.answer = std::move(answer);
    to_conclude_.push_back(id);
    mark_();
}

void HookCalls::expire(TimePoint now) {
    for (auto& [id, call] : calls_)
        if (!call.answer && call.deadline <= now)
            answered(id, {HookVerdict::Error, cat("did not answer within ", call.hook.timeout, " s")});
}

std::optional<TimePoint> HookCalls::settle() {
    expire(stack_.clock.now());
    while (!to_conclude_.empty())
        for (const HookCallId id : std::exchange(to_conclude_, {}))
            if (calls_.contains(id)) conclude(id);
    start_waiting();
    std::optional<TimePoint> next;
    for (const auto& [id, call] : calls_)
        if (call.deadline != TimePoint::max() && (!next || call.deadline < *next)) next = call.deadline;
    return next;
}

void HookCalls::conclude(HookCallId id) {
    const Call& call = calls_.at(id);
    HookAnswer answer = *call.answer;
    const auto question = questions_.find(call.question);
    const std::string hook(to_string(question->second.facts.point));
    // A command has no other way to fail than to exit with something.
    if (!call.hook.command.empty() && call.hook.ignore_failure && answer.verdict == HookVerdict::Deny)
        answer = {};
    const model::HookOutcome outcome =
        outcome_of(question->second.facts.point, answer.verdict, call.hook.ignore_failure);

    Json event = {{"name", hook}, {"time", stack_.clock.wall()}};
    const bool could_say = answer.verdict == HookVerdict::Ok || answer.verdict == HookVerdict::Deny;
    if (!could_say) event["error"] = answer.text.empty() ? said(answer.verdict) : answer.text;
    stack_.events.publish(config_.name, could_say ? "hook_success" : "hook_failure", std::move(event));
    const std::string line =
        cat("hook ", hook, " ", said(answer.verdict), answer.text.empty() ? "" : cat(": ", answer.text));
    // Who asked tells of what follows; of a failure that nothing follows from there is only this.
    if (answer.verdict == HookVerdict::Error && outcome == model::HookOutcome::Go)
        log::warning(cat("watcher ", config_.name, ": ", line));

    HookResult& result = question->second.result;
    result.outcome = sterner(result.outcome, outcome);
    if (outcome != model::HookOutcome::Go && result.why.empty()) result.why = line;
    if (answer.verdict == HookVerdict::Ok && !answer.text.empty())
        result.texts.push_back(std::move(answer.text));
    let_go(id);
    if (--question->second.open > 0) return;
    const Question through = std::move(question->second);
    questions_.erase(question);
    if (through.then) through.then(through.result);
}

// ---- commands ----

void HookCalls::call_command(HookCallId id, const HookFacts& facts) {
    const bool full =
        children_.size() >= kCommandsAtOnce && facts.signum != SIGKILL;  // which waits for nobody
    if (full && waiting_.size() >= kCommandsInLine)
        answered(id, {HookVerdict::Error, "too many are waiting for their turn"});
    else if (full)
        waiting_.push_back(id);
    else if (Status run = spawn(id, facts); !run)
        answered(id, {HookVerdict::Error, run.error().text});
}

void HookCalls::start_waiting() {
    while (!waiting_.empty() && children_.size() < kCommandsAtOnce) {
        const HookCallId id = waiting_.front();
        waiting_.pop_front();
        const auto call = calls_.find(id);
        if (call != calls_.end()) call_command(id, questions_.at(call->second.question).facts);
    }
}

Status HookCalls::spawn(HookCallId id, const HookFacts& facts) {
    Call& call = calls_.at(id);
    Child child;
    child.call = id;
    child.process.id = stack_.next_id++;
    child.process.wid = facts.wid;
    child.process.apply(ProcessEvent::Stop);
    auto request = make_hook_request(config_, identity_, call.hook.command, facts, child.process.id, stack_);
    if (!request) return request.error();
    std::vector<UniqueFd> write_ends;
    if (auto opened = open_streams(config_, facts.wid, stack_, *request, child.process.pipes, write_ends);
        !opened) {
        for (const PipeId pipe : child.process.pipes) stack_.streams.discard(pipe);
        return opened.error();
    }
    if (facts.point == HookPoint::ExtendedStats) {
        auto output = sys::make_capture(kMaxOutput);
        if (!output) {
            for (const PipeId pipe : child.process.pipes) stack_.streams.discard(pipe);
            return output.error();
        }
        child.output = std::move(*output);
        std::erase_if(request->fds, [](const FdMove& move) { return move.target == 1; });
        request->fds.push_back({FdMove::From::Passed, request->passed.size(), 1});
        request->passed.push_back(child.output.get());
    }
    call.child = child.process.id;
    call.deadline = stack_.clock.now() + from_seconds(call.hook.timeout);
    mark_();
    owns_(child.process.id);
    const ChildId child_id = child.process.id;
    children_.emplace(child_id, std::move(child));
    stack_.keeper.spawn(child_id, *request);
    return Ok{};
}

void HookCalls::kill(ChildId id) {
    const auto at = children_.find(id);
    if (at == children_.end()) return;
    at->second.call = 0;
    if (at->second.process.apply(ProcessEvent::GraceOver) == ProcessAct::SendKill)
        stack_.keeper.signal(id, SIGKILL, keeper::Scope::Tree, 0, true);
}

void HookCalls::on_spawned(ChildId id, pid_t pid, UniqueFd pidfd) {
    Process& process = children_.at(id).process;
    process.pid = pid;
    process.pidfd = std::move(pidfd);
    for (const PipeId pipe : process.pipes) stack_.streams.start(pipe, pid);
    if (process.apply(ProcessEvent::Spawned) == ProcessAct::SendKill)
        stack_.keeper.signal(id, SIGKILL, keeper::Scope::Tree, 0, true);
}

void HookCalls::on_spawn_failed(ChildId id, const std::string& why) {
    const Child child = std::move(children_.at(id));
    children_.erase(id);
    for (const PipeId pipe : child.process.pipes) stack_.streams.discard(pipe);
    if (child.call == 0) return;
    calls_.at(child.call).child = 0;
    answered(child.call, {HookVerdict::Error, why});
}

void HookCalls::on_exited(ChildId id, int status) {
    const Child child = std::move(children_.at(id));
    children_.erase(id);
    finish_pipes(child.process);
    if (child.call == 0) return;
    calls_.at(child.call).child = 0;
    HookAnswer answer = answer_of(status);
    if (child.output && answer.verdict == HookVerdict::Ok)
        answer.text = sys::read_capture(child.output.get());
    answered(child.call, std::move(answer));
}

void HookCalls::finish_pipes(const Process& process) {
    for (const PipeId pipe : process.pipes) {
        ++draining_;
        stack_.streams.finish(pipe, [this](const std::optional<std::string>&) {
            --draining_;
            mark_();
        });
    }
}

void HookCalls::collect(std::vector<const Process*>& processes) const {
    for (const auto& [id, child] : children_) processes.push_back(&child.process);
}

}  // namespace circus::supervise
