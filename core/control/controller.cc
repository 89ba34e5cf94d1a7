#include "control/controller.hpp"

#include <exception>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/owner_rule.hpp"
#include "control/properties.hpp"

namespace circus::control {

namespace {

// What whoever may only look may do changes nothing: a gauge that is asked for.
bool is_audited(std::string_view name, const Json& properties) {
    const Command* const command = find_command(name);
    return command && command->changes && role_needed(*command, properties) > model::Role::Read;
}

// Answers, and writes down who asked for what and how it ended, or (`begun`) that it has begun.
Reply::Send audited(const Caller& caller, std::string_view command, const Json& properties,
                    Reply::Send answer, std::shared_ptr<bool> begun) {
    return [caller, what = audit_text(command, properties), answer = std::move(answer),
            begun = std::move(begun)](const Result<Json>& result) {
        log::info(audit_line(caller, what, result, *begun));
        answer(result);
    };
}

}  // namespace

bool Controller::handle(std::string_view bytes, const Send& send, const Caller& caller, bool may_wait) {
    const Clock& clock = context_.clock;
    Parsed parsed = parse_request(bytes, clock.wall());
    if (!parsed.request) {
        const bool is_answered = !parsed.answer.empty();
        if (is_answered) send(std::move(parsed.answer));
        return is_answered;
    }
    const Request& request = *parsed.request;
    const Json& properties = *request.properties;
    Reply::Send answer = [send, &clock, id = request.id](const Result<Json>& result) {
        if (result)
            send(ok_answer(*result, clock.wall(), id));
        else
            send(
                error_answer(static_cast<Errno>(result.error().code), result.error().text, clock.wall(), id));
    };
    Reply::SendText answer_text = [send, &clock, id = request.id](std::string_view fields) {
        send(ok_answer_of(fields, clock.wall(), id));
    };
    if (request.cast) {
        answer = [](const Result<Json>&) {};
        answer_text = [](std::string_view) {};
    }
    // A cast is never waited for, so its operations need no Done.
    const bool waits = !request.cast && flag_of(properties, "waiting");
    if (!is_permitted(caller, request.command, properties, Reply(answer, waits))) return !request.cast;
    const auto begun = std::make_shared<bool>(false);
    // What a plugin's command does is not known here.
    if (is_audited(request.command, properties) || is_of_plugin(request.command)) {
        answer = audited(caller, request.command, properties, std::move(answer), begun);
        answer_text = {};  // then `answer` has it all
    }
    const Reply reply(std::move(answer), waits, std::move(answer_text), begun);
    if (waits && !may_wait)
        reply.error(Errno::Command, "too many requests of this client wait for their end");
    else
        dispatch(request.command, properties, reply);
    return !request.cast;
}

void Controller::call(std::string_view plugin, const std::string& command, const Json& properties,
                      Answered answered, Reply::SendText answered_text) {
    const auto begun = std::make_shared<bool>(false);
    // Of a plugin's own figures there are many, each second.
    if (is_audited(command, properties) && !equals_ignoring_case(command, "gauge")) {
        answered = audited(caller_of_plugin(plugin), command, properties, std::move(answered), begun);
        answered_text = {};  // then `answered` has it all
    }
    dispatch(command, properties,
             Reply(std::move(answered), flag_of(properties, "waiting"), std::move(answered_text), begun));
}

bool Controller::is_of_plugin(std::string_view name) const {
    const CommandRegistry::Entry* const added = context_.registry.find(name);
    return added && !added->owner.empty();
}

// endpoint_owner's limits. What is asked for is not validated yet.
Status Controller::may_ask(const std::string& name, const Json& properties) {
    const bool is_named = has(properties, "name") && properties["name"].is_string();
    const supervise::Watcher* const watcher =
        is_named ? context_.arbiter.find(text_of(properties, "name")) : nullptr;
    return control::may_ask(context_.arbiter.config(), name, properties,
                            watcher ? &watcher->config() : nullptr);
}

bool Controller::is_permitted(const Caller& caller, const std::string& name, const Json& properties,
                              const Reply& reply) {
    const Command* const command = find_command(name);
    // What plugins add, and what there is not, is for everybody who may do more than look.
    const model::Role needed = command ? role_needed(*command, properties) : model::Role::Operate;
    Status permitted = check_role(caller, needed);
    if (permitted && caller.is_limited) permitted = may_ask(name, properties);
    if (permitted) return true;
    const std::string line =
        refusals_.line(caller, audit_text(name, properties), permitted.error().text, context_.clock.now());
    if (!line.empty()) log::warning(line);
    reply.error(permitted.error());
    return false;
}

void Controller::dispatch(const std::string& name, const Json& properties, const Reply& reply) {
    if (const Command* command = find_command(name)) return execute(*command, properties, reply);
    const CommandRegistry::Entry* added = context_.registry.find(name);
    if (!added) return reply.error(Errno::UnknownCommand, cat("unknown command: ", py_repr(name)));
    reply.from(*added, properties);
}

void Controller::rest() {
    context_.looks.rest(context_.clock.now());
}

void Controller::work() {
    if (!has_work()) return;
    Job job = std::move(context_.jobs.front());
    context_.jobs.pop_front();
    try {
        if (!job.go_on()) context_.jobs.push_back(std::move(job));
    } catch (const std::exception& thrown) {
        log::error(cat("a query: ", std::string_view(thrown.what())));
        job.reply.error(Errno::Command, thrown.what());
    }
}

void Controller::execute(const Command& command, const Json& properties, const Reply& reply) {
    if (const Status valid = validate(command, properties); !valid)
        return reply.error(Errno::Message, valid.error().text);
    if (context_.arbiter.is_stopping() && !command.while_stopping)
        return reply.error(Errno::Command, "arbiter is already running arbiter_stop command");
    const Handler handler = find_handler(command.name);
    if (!handler) {
        const CommandRegistry::Entry* registered = context_.registry.find(command.name);
        if (registered) return reply.from(*registered, properties);
        return reply.error(Errno::UnknownCommand, cat("unknown command: ", py_repr(command.name)));
    }
    try {
        handler(context_, properties, reply);
    } catch (const std::exception& thrown) {
        // From the JSON library or the allocator, before anything was answered: handlers answer last.
        log::error(cat("command ", command.name, ": ", std::string_view(thrown.what())));
        reply.error(Errno::Command, thrown.what());
    }
}

}  // namespace circus::control
