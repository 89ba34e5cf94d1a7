// What the pump does for whoever comes after this process, and with what the one before has left
// (journal.hpp).
#include <cerrno>
#include <sys/ioctl.h>

#include "stream/pump.hpp"

namespace circus::stream {

// What it writes as long as this is there.
class Pump::WritingGuard {
  public:
    WritingGuard(Pump& pump, Writing what, const Sink& sink) : pump_(pump) {
        pump_.writing_ = what;
        pump_.written_ = &sink;
    }
    ~WritingGuard() {
        pump_.writing_ = Writing::Nothing;
        pump_.written_ = nullptr;
    }
    WritingGuard(const WritingGuard&) = delete;
    WritingGuard& operator=(const WritingGuard&) = delete;

  private:
    Pump& pump_;
};

Pipe::Read Pump::read_batch(Pipe& pipe, std::size_t& bytes) {
    const std::uint64_t dropped = pipe.sink().dropped();
    const Pipe::Read what = take_batch(pipe, bytes);
    if (pipe.count) {
        pipe.count->bytes += bytes;
        pipe.count->dropped += pipe.sink().dropped() - dropped;
    }
    return what;
}

Pipe::Read Pump::take_batch(Pipe& pipe, std::size_t& bytes) {
    if (!journal_) return pipe.read(scratch_, bytes);
    std::string_view batch;
    bytes = 0;
    switch (journal_->take(pipe.id(), pipe.fd(), batch)) {
        case Journal::Took::Nothing:
            return Pipe::Read::Nothing;
        case Journal::Took::End:
            return Pipe::Read::End;
        case Journal::Took::Some:
            break;
    }
    bytes = batch.size();
    journal_->writing(pipe.sink().place());
    {
        const WritingGuard guard(*this, Writing::Batch, pipe.sink());
        pipe.take(batch);
    }
    note_backlog(pipe.sink());
    journal_->done(pipe.id(), pipe.unfinished(), pipe.grown());
    return Pipe::Read::Some;
}

// What is in the pipe at this moment, whether or not the sink is ready, and little of what is written
// meanwhile.
void Pump::read_rest(Pipe& pipe) {
    int left = 0;
    if (ioctl(pipe.fd(), FIONREAD, &left) != 0) return;
    while (left > 0) {
        std::size_t bytes = 0;
        if (read_batch(pipe, bytes) != Pipe::Read::Some) return;
        left -= static_cast<int>(bytes);
    }
}

void Pump::flush(Pipe& pipe) {
    pipe.flush();
    if (!journal_) return;
    note_backlog(pipe.sink());
    journal_->forget(pipe.id());
}

// A batch of another pipe would take the place of what was left.
bool Pump::waits_for_left(const Pipe& pipe) {
    if (!left_ || left_->pipe == pipe.id()) return false;
    if (Monotonic::now() < left_until_) return true;
    left_.reset();
    return false;
}

void Pump::finish_left(Pipe& pipe) {
    const Journal::Left left = std::move(*left_);
    left_.reset();
    Sink& sink = pipe.sink();
    pipe.restore(left.unfinished);
    pipe.mute(left.written);
    const Journal::Place begin = sink.place();
    if (!left.writing) journal_->writing(begin);
    if (!left.written) {
        Journal::Place place = left.place;
        place.bytes = 0;  // lines are exact, whatever the time before them is
        sink.resume_behind(place);
        const WritingGuard guard(*this, Writing::Batch, sink);
        pipe.take(left.bytes);
        sink.resume_behind({});
    } else {
        pipe.take(left.bytes);
    }
    pipe.mute(false);
    note_backlog(sink);
    attend_to(sink);
    journal_->done(pipe.id(), pipe.unfinished(), pipe.grown());
}

void Pump::note_place(const Sink& sink, const Journal::Place& place) {
    if (&sink != written_) return;
    if (writing_ == Writing::Batch)
        journal_->moved(place);
    else
        journal_->writing_backlog(sink.key, place);
}

void Pump::resume(Sink& sink, TimePoint now) {
    if (!journal_ || !sink.is_noted) {
        sink.resume(now);
    } else {
        journal_->writing_backlog(sink.key, sink.place_of_backlog());
        const WritingGuard guard(*this, Writing::Backlog, sink);
        sink.resume(now);
    }
    note_backlog(sink);
}

void Pump::note_backlog(Sink& sink) {
    if (!journal_) return;
    const bool is_empty = sink.is_empty();
    if (is_empty && !sink.is_noted) return;
    journal_->backlog(sink.key, is_empty ? std::string() : sink.unwritten());
    sink.is_noted = !is_empty;
}

void Pump::restore_backlog(Sink& sink) {
    if (!journal_) return;
    const std::string left = journal_->backlog_of(sink.key);
    if (left.empty()) return;
    sink.is_noted = true;
    Journal::Place place = journal_->place_of_backlog(sink.key);
    place.pieces = 0;
    place.lines = 0;  // bytes are exact: it is not made again
    sink.resume_behind(place);
    {
        const WritingGuard guard(*this, Writing::Backlog, sink);
        sink.write(~PipeId{0}, left, {}, left.back() == '\n');
    }
    sink.resume_behind({});
    note_backlog(sink);
    attend_to(sink);
}

}  // namespace circus::stream
