#include "stream/pipe.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace circus::stream {

Pipe::Read Pipe::read(std::span<char> scratch, std::size_t& bytes) {
    bytes = 0;
    ssize_t n = 0;
    do n = ::read(fd_.get(), scratch.data(), scratch.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno == EAGAIN ? Read::Nothing : Read::End;
    if (n == 0) return Read::End;
    bytes = static_cast<std::size_t>(n);
    take({scratch.data(), bytes});
    return Read::Some;
}

void Pipe::read_rest(std::span<char> scratch) {
    int left = 0;
    if (ioctl(fd_.get(), FIONREAD, &left) != 0) return;
    while (left > 0) {
        std::size_t bytes = 0;
        const auto part = scratch.first(std::min(scratch.size(), static_cast<std::size_t>(left)));
        if (read(part, bytes) != Read::Some) return;
        left -= static_cast<int>(bytes);
    }
}

void Pipe::take(std::string_view bytes) {
    if (last_) last_->take(bytes);
    if (watch_ && watch_->take(bytes)) {
        watch_.reset();
        found_ = true;
    }
    std::size_t before = partial_.size();
    const void* newline = memrchr(bytes.data(), '\n', bytes.size());
    if (newline) {
        const auto whole = static_cast<std::size_t>(static_cast<const char*>(newline) - bytes.data()) + 1;
        hand_on(partial_, bytes.substr(0, whole), true);
        partial_.clear();
        before = 0;
        bytes.remove_prefix(whole);
    }
    if (partial_.size() + bytes.size() <= kMaxLine) {
        partial_ += bytes;
    } else {
        hand_on(partial_, bytes, false);
        partial_.clear();
        before = 0;
    }
    grown_ = partial_.size() - before;
}

void Pipe::flush() {
    if (!partial_.empty()) hand_on(partial_, {}, false, true);
    partial_.clear();
}

void Pipe::write(std::string_view first, std::string_view second, bool ends_line) {
    if (muted_) return;
    sink_.write(id_, first, second, ends_line);
    if (copy && copy != &sink_ && copy->is_ready()) copy->write(id_, first, second, ends_line);
}

void Pipe::hand_on(std::string_view first, std::string_view second, bool ends_line, bool is_last) {
    // Also what the process before has written: it took what it remembered with it.
    if (last_lines) last_lines->append(id_, pid_, first, second);
    if (!prefix_.is_wanted()) return write(first, second, ends_line);
    // The unfinished line and what follows it are one text: a prefix stands at the start of lines only.
    prefixed_.clear();
    const bool continues = sink_.continues(id_);
    prefix_.append(prefixed_, first, continues);
    prefix_.append(prefixed_, second, first.empty() ? continues : true);
    if (is_last) prefixed_ += prefix_.ending();
    write(prefixed_, {}, ends_line);
}

}  // namespace circus::stream
