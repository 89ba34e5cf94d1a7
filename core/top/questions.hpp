// Questions: what circus-top asks its daemon, off the thread that draws: a daemon that does not answer must
// not freeze the screen. Driven by ask() from the screen's thread; a thread of its own asks one after the
// other, and what it was answered lies ready for take(). A question that is still waiting is not asked twice.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/unique_fd.hpp"
#include "control/client.hpp"

namespace circus::top {

class Questions {
  public:
    struct Answer {
        std::string what;   // as it was asked
        std::string text;   // a JSON object; empty: see `error`
        std::string error;  // why there is none, or what the daemon said against it
    };

    Questions(std::string endpoint, control::MaybeKeys keys, Duration timeout);
    ~Questions();  // waits for the answer that is awaited, a second at the most
    Questions(const Questions&) = delete;
    Questions& operator=(const Questions&) = delete;

    // `what`: a name for the answer; false: one of that name is under way.
    bool ask(const std::string& what, const std::string& command, const Json& properties);
    std::vector<Answer> take();
    int fd() const { return ready_.get(); }  // readable while there is something to take

  private:
    struct Question {
        std::string what, command;
        std::string properties;  // JSON
    };

    void run();
    Answer answer_to(const Question& question);

    const std::string endpoint_;
    const control::MaybeKeys keys_;
    const Duration timeout_;
    UniqueFd ready_;  // an eventfd
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Question> questions_;
    std::vector<std::string> open_;
    std::vector<Answer> answers_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace circus::top
