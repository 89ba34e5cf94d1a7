#include "top/questions.hpp"

#include <algorithm>
#include <sys/eventfd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "control/answer_fields.hpp"
#include "control/client.hpp"
#include "control/python_text.hpp"

namespace circus::top {

namespace {
constexpr Milliseconds kLongest{1000};  // of one question, so that the end is not waited for
}

Questions::Questions(std::string endpoint, control::MaybeKeys keys, Duration timeout)
    : endpoint_(std::move(endpoint)),
      keys_(std::move(keys)),
      timeout_(std::min<Duration>(timeout, kLongest)),
      ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

Questions::~Questions() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

bool Questions::ask(const std::string& what, const std::string& command, const Json& properties) {
    const std::lock_guard lock(mutex_);
    if (std::find(open_.begin(), open_.end(), what) != open_.end()) return false;
    open_.push_back(what);
    questions_.push_back({what, command, properties.dump()});
    changed_.notify_one();
    return true;
}

std::vector<Questions::Answer> Questions::take() {
    eventfd_t count = 0;
    eventfd_read(ready_.get(), &count);
    const std::lock_guard lock(mutex_);
    return std::exchange(answers_, {});
}

void Questions::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return ending_ || !questions_.empty(); });
        if (ending_) return;
        const Question question = std::move(questions_.front());
        questions_.pop_front();
        lock.unlock();
        Answer answer = answer_to(question);
        lock.lock();
        std::erase(open_, question.what);
        answers_.push_back(std::move(answer));
        eventfd_write(ready_.get(), 1);
    }
}

Questions::Answer Questions::answer_to(const Question& question) {
    Answer out{question.what, {}, {}};
    // A connection for each: one that a dead daemon has left would hold what it was asked, and ask it later.
    auto client = control::Client::connect(endpoint_, keys_);
    if (!client) {
        out.error = client.error().text;
        return out;
    }
    const auto text = client->call(question.command, Json::parse(question.properties), timeout_);
    if (!text) {
        out.error = text.error().text;
        return out;
    }
    const Json answer = Json::parse(*text, nullptr, false);
    if (control::field(answer, "status") == "error")
        out.error = control::str(control::field(answer, "reason"));
    else
        out.text = *text;
    return out;
}

}  // namespace circus::top
