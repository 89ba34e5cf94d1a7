#include "connection.hpp"

#include <utility>

namespace redis_observer {

// What hiredis wants to know of the descriptor. Belongs to a context, which may outlive its Connection for
// the rest of a callback, and goes with it.
struct Connection::Adapter {
    redisAsyncContext* context;
    circus::Host host;
    Watch watch;
    std::uint32_t events = 0;
    circus::Registration registration = {};

    static Adapter& of(void* self) { return *static_cast<Adapter*>(self); }
    void want(std::uint32_t wanted) {
        if (wanted == events) return;
        events = wanted;
        registration.cancel();
        if (events == 0) return;
        // A connection that cannot be watched is given up by the timeout of whoever waits for an answer.
        circus::guard_task(host.raw(), [&] {
            registration = watch(context->c.fd, events, [of = context](std::uint32_t ready) {
                // One of the two: either may be the end of the context. What is left comes again.
                if ((ready & (CIRCUS_FD_IN | CIRCUS_FD_HUP)) != 0)
                    redisAsyncHandleRead(of);
                else
                    redisAsyncHandleWrite(of);
            });
        });
    }
};

Connection::Connection(circus::Host host, Watch watch, Lost lost)
    : host_(host), watch_(std::move(watch)), lost_(std::move(lost)) {}

std::string Connection::open(const std::string& address, int port) {
    return adopt(redisAsyncConnect(address.c_str(), port));
}

std::string Connection::open_path(const std::string& path) {
    return adopt(redisAsyncConnectUnix(path.c_str()));
}

std::string Connection::adopt(redisAsyncContext* context) {
    close();
    if (!context) return "out of memory";
    if (context->err != 0) {
        std::string why = context->errstr;
        redisAsyncFree(context);
        return why;
    }
    context_ = context;
    context->data = this;
    context->ev.data = new Adapter{context, host_, watch_};
    context->ev.addRead = [](void* a) { Adapter::of(a).want(Adapter::of(a).events | CIRCUS_FD_IN); };
    context->ev.delRead = [](void* a) { Adapter::of(a).want(Adapter::of(a).events & ~CIRCUS_FD_IN); };
    context->ev.addWrite = [](void* a) { Adapter::of(a).want(Adapter::of(a).events | CIRCUS_FD_OUT); };
    context->ev.delWrite = [](void* a) { Adapter::of(a).want(Adapter::of(a).events & ~CIRCUS_FD_OUT); };
    context->ev.cleanup = [](void* a) { delete static_cast<Adapter*>(a); };
    redisAsyncSetConnectCallback(context, &Connection::on_connect);
    redisAsyncSetDisconnectCallback(context, &Connection::on_disconnect);
    return {};
}

void Connection::send(const std::vector<std::string>& words, Answered answered) {
    if (!context_) return;
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    if (redisAsyncCommandArgv(context_, &Connection::on_reply, nullptr, static_cast<int>(words.size()),
                              texts.data(), sizes.data()) == REDIS_OK)
        owed_.push_back(std::move(answered));
}

void Connection::close() {
    owed_.clear();
    is_connected_ = false;
    if (redisAsyncContext* const context = std::exchange(context_, nullptr)) {
        context->data = nullptr;  // its last callbacks are for nobody
        redisAsyncFree(context);
    }
}

void Connection::on_connect(const redisAsyncContext* context, int status) {
    auto* const self = static_cast<Connection*>(context->data);
    if (!self) return;
    if (status == REDIS_OK)
        self->is_connected_ = true;
    else
        self->gone(context->errstr);
}

void Connection::on_disconnect(const redisAsyncContext* context, int) {
    if (auto* const self = static_cast<Connection*>(context->data))
        self->gone(context->errstr ? context->errstr : "closed");
}

void Connection::on_reply(redisAsyncContext* context, void* reply, void*) {
    auto* const self = static_cast<Connection*>(context->data);
    if (!self) return;
    if (!reply)
        return self->gone(context->errstr && *context->errstr ? context->errstr : "the connection was lost");
    if (self->owed_.empty()) return;
    const Answered answered = std::move(self->owed_.front());
    self->owed_.pop_front();
    circus::guard_task(self->host_.raw(), [&] { answered(*static_cast<const redisReply*>(reply)); });
}

void Connection::gone(const std::string& why) {
    if (!context_) return;
    context_->data = nullptr;  // hiredis frees it when it is through with its callbacks
    context_ = nullptr;
    const bool owed = !owed_.empty();
    owed_.clear();
    if (owed) circus::guard_task(host_.raw(), [&] { lost_(why); });
    is_connected_ = false;
}

}  // namespace redis_observer
