// The hooks of a watcher's life: the phases of its start and stop, and what else is asked or told on the way.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using model::HookOutcome;
using model::HookPoint;
using model::Phase;
using model::PhaseAct;
using model::PhaseEvent;

namespace {

// What an extended_stats hook said: a JSON object, no deeper than anybody needs (printing one takes stack by
// its depth).
Result<Json> object_of(const std::string& text) {
    constexpr int kMaxDepth = 32;
    bool too_deep = false;
    Json value = text.size() > HookCalls::kMaxOutput
                     ? Json()
                     : Json::parse(
                           text,
                           [&too_deep](int depth, Json::parse_event_t, Json&) {
                               too_deep = too_deep || depth > kMaxDepth;
                               return !too_deep;
                           },
                           false);
    if (too_deep) return Error{cat("the object it gave is more than ", kMaxDepth, " levels deep")};
    if (!value.is_object()) return Error{"what it gave is no JSON object"};
    return value;
}

}  // namespace

HookCalls& Watcher::hooks() {
    if (!hooks_)
        hooks_ = std::make_unique<HookCalls>(
            config_, identity_, stack_, [this](ChildId id) { owns_(*this, id); }, [this] { mark_(*this); });
    return *hooks_;
}

void Watcher::tell(HookFacts facts) {
    if (is_hooked(facts.point)) hooks().ask(std::move(facts), {});
}

// ---- start and stop ----

bool Watcher::walk() {
    const Phase before = phase_;
    while (true) {
        // Between the two halves of a restart: everything old is gone.
        if (drain_ && phase_ == Phase::Closed && processes_.empty()) drain_ = false;
        model::PhaseFacts facts;
        facts.up = up_;
        facts.drain = drain_;
        facts.held = phase_ == Phase::Closed && up_ && !drain_ && is_held();
        if (!up_) facts.up = false;  // it was hopeless
        facts.ran = phase_ == Phase::Open && up_ && all_ran();
        facts.pause_over = phase_ == Phase::Paused && ask_again_ <= stack_.clock.now();
        facts.processes = !processes_.empty();
        facts.finishing = draining_ > 0;
        const auto event = due_event(phase_, facts);
        if (!event) return phase_ != before;
        advance(*event);
    }
}

void Watcher::advance(PhaseEvent event) {
    const model::PhaseStep step = model::step(phase_, event);
    if (step.next != phase_) look();
    phase_ = step.next;
    switch (step.act) {
        case PhaseAct::None:
            return;
        case PhaseAct::AskBeforeStart:
            return ask_phase(HookPoint::BeforeStart);
        case PhaseAct::Pause:
            if (start_delay_ == Duration::zero())
                log::info(cat("watcher ", name(), " is not started yet: ", phase_why_));
            start_delay_ = model::next_delay(start_delay_, Duration(-1), backoff(), stack_.random());
            ask_again_ = stack_.clock.now() + start_delay_;
            return;
        case PhaseAct::AskAfterStart:
            return ask_phase(HookPoint::AfterStart);
        case PhaseAct::AnnounceStart:
            reached_.started = reached_.ready = true;
            publish("start");
            log::info(cat("watcher ", name(), " started"));
            return;
        case PhaseAct::GiveUp:
            return give_up(cat("start given up: ", phase_why_));
        case PhaseAct::DropAsked:
            return drop_asked();
        case PhaseAct::AskBeforeStop:
            drop_asked();
            return ask_phase(HookPoint::BeforeStop);
        case PhaseAct::AnnounceStop:
            publish("stop");
            if (!up_) log::info(cat("watcher ", name(), " stopped"));
            return ask_phase(HookPoint::AfterStop);
    }
}

void Watcher::ask_phase(HookPoint point) {
    if (!is_hooked(point)) return advance(PhaseEvent::Go);
    hooks().ask({point}, [this](const HookResult& result) {
        phase_why_ = result.why;
        advance(model::event_of(result.outcome));
    });
}

void Watcher::drop_asked() {
    if (!hooks_) return;
    hooks_->cancel(
        {HookPoint::BeforeStart, HookPoint::AfterStart, HookPoint::BeforeSpawn, HookPoint::AfterSpawn});
    for (Slot& s : slots_) s.asked = s.cleared = false;
    for (auto& [id, process] : processes_) process.unproven = false;
}

// ---- spawns ----

void Watcher::ask_before_spawn(model::Wid wid) {
    slot(wid).asked = true;
    hooks().ask({HookPoint::BeforeSpawn, wid}, [this, wid](const HookResult& result) {
        // A slot that is gone, or new since, did not ask.
        if (wid > static_cast<model::Wid>(slots_.size()) || !slot(wid).asked) return;
        look();
        Slot& s = slot(wid);
        s.asked = false;
        s.cleared = result.outcome == HookOutcome::Go;
        if (result.outcome == HookOutcome::Again) {
            if (s.delay == Duration::zero())
                log::info(cat("watcher ", name(), ": wid ", wid, " is not spawned yet: ", result.why));
            s.delay = model::next_delay(s.delay, Duration(-1), backoff(), stack_.random());
            s.not_before = stack_.clock.now() + s.delay;
        }
        if (result.outcome == HookOutcome::Abort) refuse_start(result.why);
    });
}

void Watcher::ask_after_spawn(Process& process) {
    process.unproven = true;
    hooks().ask({HookPoint::AfterSpawn, process.wid, process.pid},
                [this, id = process.id, wid = process.wid](const HookResult& result) {
                    look();
                    const auto at = processes_.find(id);
                    if (at != processes_.end()) at->second.unproven = false;
                    const bool awaited = at == processes_.end()
                                             ? config_.ready.kind != config::ReadyConfig::Kind::Spawned
                                             : at->second.awaited;
                    if (result.outcome == HookOutcome::Go) {
                        if (!awaited) prove(wid);
                        return;
                    }
                    // One that ends already, or has ended, is not refused any more.
                    if (at == processes_.end() || at->second.condemned) return;
                    at->second.condemned = true;
                    refuse_start(result.why);
                });
}

void Watcher::prove(model::Wid wid) {
    if (wid <= config_.numprocesses && up_ && !drain_) slot(wid).ran = true;
}

void Watcher::refuse_start(const std::string& why) {
    if (!up_) return;
    if (reloading_)
        end_reload(false, why);
    else
        give_up(cat("stopped: ", why));
}

// ---- what is only told ----

// The keeper has reaped it already: before_reap is told first, and after_reap when that has answered. Neither
// keeps a replacement waiting.
void Watcher::tell_reaped(const Process& process, int code) {
    const HookFacts before{HookPoint::BeforeReap, process.wid, process.pid, {}, code};
    HookFacts after = before;
    after.point = HookPoint::AfterReap;
    if (is_hooked(HookPoint::BeforeReap))
        hooks().ask(before, [this, after](const HookResult&) { tell(after); });
    else
        tell(after);
}

void Watcher::extend(const Json& infos, std::function<void(Json)> done) {
    struct Extension {
        Json infos;
        std::size_t open = 0;
        std::function<void(Json)> done;
    };
    const auto extension = std::make_shared<Extension>(Extension{infos, 0, std::move(done)});
    const auto close_part = [this, extension] {
        if (--extension->open > 0) return;
        finish_([extension](const Result<OpResult>&) { extension->done(std::move(extension->infos)); },
                OpResult{});
    };
    ++extension->open;
    for (const Process* process : active()) {
        const std::string key = std::to_string(process->pid);
        const auto info = infos.find(key);
        if (info == infos.end() || !info->is_object() || !is_hooked(HookPoint::ExtendedStats)) continue;
        HookFacts facts{HookPoint::ExtendedStats, process->wid, process->pid};
        facts.stats = info->dump(-1, ' ', false, Json::error_handler_t::replace);
        ++extension->open;
        hooks().ask(std::move(facts), [this, extension, key, close_part](const HookResult& result) {
            for (const auto& text : result.texts) {
                const auto more = object_of(text);
                if (more)
                    extension->infos[key].update(*more);
                else
                    log::warning(cat("watcher ", name(), ": hook extended_stats: ", more.error().text));
            }
            close_part();
        });
    }
    close_part();
    mark_(*this);
}

void Watcher::collect(std::vector<const Process*>& processes) const {
    for (const auto& [id, process] : processes_) processes.push_back(&process);
    if (hooks_) hooks_->collect(processes);
    if (checks_) checks_->collect(processes);
}

}  // namespace circus::supervise
