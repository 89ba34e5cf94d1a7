// A class of streams in C++: `stdout_stream = {class = "JsonLinesStream", filename = "…"}` appends each line
// that a worker writes to a file, as {"time", "watcher", "pid", "stream", "line"}.
//
// write() runs on the daemon's loop and has 5 ms, and a disk may take longer: a thread writes. Between them
// is a bounded queue; when it is full write() takes nothing, the workers wait, and ready() brings the rest.
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/threads.hpp>

namespace {

using circus::Json;

class JsonLines final : public circus::Sink {
  public:
    explicit JsonLines(const std::string& filename) : file_(std::fopen(filename.c_str(), "ae")) {
        if (!file_) throw std::runtime_error("cannot open " + filename);
        const circus::SignalsBlocked guard;
        thread_ = std::thread([this] { work(); });
    }
    ~JsonLines() override {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        more_.notify_one();
        thread_.join();
        std::fclose(file_);
    }

    std::size_t write(const std::vector<Chunk>& chunks) override {
        std::size_t taken = 0;
        {
            const std::lock_guard lock(mutex_);
            for (; taken < chunks.size() && text_.size() < kMost; ++taken) append(chunks[taken]);
            is_full_ = taken < chunks.size();
        }
        more_.notify_one();
        return taken;
    }

  private:
    static constexpr std::size_t kMost = 256 * 1024;

    void append(const Chunk& chunk) {
        const double time = std::chrono::duration<double>(chunk.time.time_since_epoch()).count();
        std::string_view rest = chunk.bytes;
        while (!rest.empty()) {
            const auto end = std::min(rest.find('\n'), rest.size());
            const Json row = {{"time", time},
                              {"watcher", chunk.watcher},
                              {"pid", chunk.pid},
                              {"stream", chunk.is_stderr ? "stderr" : "stdout"},
                              {"line", rest.substr(0, end)}};
            // Bytes that are no UTF-8 are replaced.
            text_ += row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            more_.wait(lock, [this] { return is_over_ || !text_.empty(); });
            const std::string text = std::exchange(text_, {});
            if (text.empty()) return;
            const bool was_full = std::exchange(is_full_, false);
            lock.unlock();
            std::fwrite(text.data(), 1, text.size(), file_);
            std::fflush(file_);
            if (was_full) ready();
            lock.lock();
        }
    }

    std::FILE* const file_;
    std::mutex mutex_;  // all below
    std::condition_variable more_;
    std::string text_;
    bool is_full_ = false, is_over_ = false;
    std::thread thread_;
};

class JsonLinesPlugin final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_SINKS, nullptr};
    using Plugin::Plugin;

    void start() override {
        class_ = stream_class("JsonLinesStream", [](const Json& options) {
            for (const auto& [name, value] : options.items())
                if (name != "filename") throw std::runtime_error("there is no option " + name);
            return std::make_unique<JsonLines>(options.at("filename").get<std::string>());
        });
    }

  private:
    circus::Registration class_;
};

}  // namespace

CIRCUS_PLUGIN(JsonLinesPlugin, "json_lines", "1.0", "workers' output as lines of JSON", "{}")
