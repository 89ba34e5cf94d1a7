// LoopSinks: the classes that were offered, and for each stream of such a class the LoopSink that takes its
// lines from its Handover. Owned by Streams; the loop's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "loop/inbox.hpp"
#include "stream/handover.hpp"
#include "stream/loop_sink.hpp"

namespace circus::stream {

class LoopSinks {
  public:
    explicit LoopSinks(loop::Inbox::Sender sender) : sender_(std::move(sender)) {}

    void offer(const std::string& class_name, LoopSinkClass& sinks);
    void withdraw(const std::string& class_name);
    // That of a stream; made where there is none.
    std::shared_ptr<Handover> handover_of(const StreamSpec& spec);
    void ready(const LoopSink& sink);
    // Why a sink takes nothing at the moment; empty: it does again.
    void trouble(const LoopSink& sink, const std::string& why);
    // Nothing is on its way to a sink that takes it.
    bool is_delivered() const;

    // The pump is about to end: it must not wait for the loop, which waits for it.
    void prepare_for_the_end();
    void deliver_the_rest();

  private:
    struct Entry {
        std::shared_ptr<Handover> handover;
        std::unique_ptr<LoopSink> sink;
        std::vector<Chunk> waiting;  // taken from the handover, not by the sink
    };
    void post(const std::string& key);
    void deliver(const std::string& key);
    void give(Entry& entry);
    void connect(Entry& entry);

    loop::Inbox::Sender sender_;
    std::map<std::string, LoopSinkClass*> classes_;
    std::map<std::string, Entry> entries_;  // by the handover's key
};

}  // namespace circus::stream
