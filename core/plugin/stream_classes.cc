#include "plugin/stream_classes.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/text.hpp"
#include "config/offered_classes.hpp"
#include "config/option_table.hpp"
#include "plugin/abi_text.hpp"

namespace circus::plugin {

namespace {

constexpr std::size_t kBatchBytes = 64 * 1024;  // at least one chunk, whatever its size
constexpr std::size_t kBatchChunks = 512;
constexpr Milliseconds kRetry{1000};

std::vector<stream::Chunk> batch_of(std::span<const stream::Chunk> chunks) {
    std::vector<stream::Chunk> batch;
    std::size_t bytes = 0;
    for (const auto& chunk : chunks) {
        bytes += chunk.bytes.size();
        if (!batch.empty() && (bytes > kBatchBytes || batch.size() == kBatchChunks)) break;
        batch.push_back(chunk);
    }
    return batch;
}

bool is_name(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == ':';
    });
}

}  // namespace

struct StreamClasses::Class final : stream::LoopSinkClass {
    Class(StreamClasses& its_owner, circus_id id, std::string its_name)
        : owner(its_owner), offer(id), name(std::move(its_name)) {}
    Result<std::unique_ptr<stream::LoopSink>> open(const stream::StreamSpec& spec) override;

    StreamClasses& owner;
    const circus_id offer;
    const std::string name;
    bool is_withdrawn = false;  // its sinks are the plugin's
};

class StreamClasses::PluginSink final : public stream::LoopSink {
  public:
    PluginSink(Class& its_class, const stream::StreamSpec& spec)
        : class_(its_class),
          classes_(its_class.owner),
          options_(spec.options.empty() ? "{}" : spec.options),
          retry_(classes_.loop_, [this] { open(); }) {
        open();
    }
    ~PluginSink() override { leave(); }

    std::size_t write(std::span<const stream::Chunk> chunks) override {
        const std::size_t taken = std::min(std::exchange(taken_, 0), chunks.size());
        const auto rest = chunks.subspan(taken);
        if (state_ != State::Ready || rest.empty() || class_.is_withdrawn) return taken;
        state_ = State::Busy;
        if (!classes_.port_.write_sink(id_, batch_of(rest))) fail("the plugin cannot be reached");
        return taken;
    }

    void opened(circus_status status, const std::string& why) {
        if (state_ != State::Opening) return;
        if (status != CIRCUS_OK) return fail(why.empty() ? status_words(status) : why);
        state_ = State::Ready;
        if (std::exchange(is_in_trouble_, false)) classes_.streams_.trouble(*this, {});
        classes_.streams_.ready(*this);
    }

    void took(std::size_t count, circus_status status, const std::string& why) {
        if (state_ != State::Busy) return;
        taken_ += count;
        state_ = status == CIRCUS_OK ? State::Ready : State::Full;
        if (status != CIRCUS_OK && status != CIRCUS_E_AGAIN) fail(why.empty() ? status_words(status) : why);
        classes_.streams_.ready(*this);
    }

    void ready() {
        if (state_ != State::Full) return;
        state_ = State::Ready;
        classes_.streams_.ready(*this);
    }

  private:
    enum class State { Opening, Ready, Busy, Full, Failed };

    // A number is of one opening: what is still said of an earlier one finds nobody.
    void open() {
        if (id_ != 0) leave();
        id_ = ++classes_.last_;
        classes_.sinks_[id_] = this;
        state_ = State::Opening;
        if (!classes_.port_.open_sink(class_.offer, id_, options_)) fail("the plugin cannot be reached");
    }

    void leave() {
        classes_.sinks_.erase(id_);
        if (!class_.is_withdrawn) classes_.port_.close_sink(id_);
    }

    void fail(const std::string& why) {
        state_ = State::Failed;
        is_in_trouble_ = true;
        classes_.streams_.trouble(*this, why);
        retry_.start(kRetry);
    }

    Class& class_;
    StreamClasses& classes_;
    const std::string options_;
    SinkId id_ = 0;
    State state_ = State::Opening;
    bool is_in_trouble_ = false;
    std::size_t taken_ = 0;  // that Streams is to be told of
    loop::Timer retry_;
};

Result<std::unique_ptr<stream::LoopSink>> StreamClasses::Class::open(const stream::StreamSpec& spec) {
    return std::unique_ptr<stream::LoopSink>(std::make_unique<PluginSink>(*this, spec));
}

StreamClasses::StreamClasses(loop::Loop& loop, stream::Streams& streams, SinkPort& port)
    : loop_(loop), streams_(streams), port_(port) {}

StreamClasses::~StreamClasses() {
    while (!classes_.empty()) withdraw(classes_.begin()->first);
}

circus_status StreamClasses::offer(circus_id id, const std::string& name, std::string& why) {
    if (!is_name(name)) {
        why = cat(py_repr(name), " is no name of a class of streams");
        return CIRCUS_E_INVALID;
    }
    if (config::is_stream_class(name)) {
        why = cat("there is a class of streams of the name ", name);
        return CIRCUS_E_CONFLICT;
    }
    auto& offered = classes_[id] = std::make_unique<Class>(*this, id, name);
    config::offer_stream_class(name);
    streams_.offer(name, *offered);
    return CIRCUS_OK;
}

void StreamClasses::withdraw(circus_id id) {
    const auto gone = classes_.extract(id);
    if (gone.empty()) return;
    gone.mapped()->is_withdrawn = true;
    config::withdraw_stream_class(gone.mapped()->name);
    streams_.withdraw(gone.mapped()->name);
}

void StreamClasses::opened(SinkId sink, circus_status status, const std::string& why) {
    if (const auto at = sinks_.find(sink); at != sinks_.end()) at->second->opened(status, why);
}

void StreamClasses::took(SinkId sink, std::size_t count, circus_status status, const std::string& why) {
    if (const auto at = sinks_.find(sink); at != sinks_.end()) at->second->took(count, status, why);
}

void StreamClasses::ready(SinkId sink) {
    if (const auto at = sinks_.find(sink); at != sinks_.end()) at->second->ready();
}

}  // namespace circus::plugin
