// SharedPage: the page that keeper and arbiter share (keeper/wire.hpp), the arbiter's side. Without one,
// where there was no memory for it, nothing is told. The loop's thread.
#pragma once

#include <cstring>
#include <string_view>
#include <sys/mman.h>
#include <utility>

#include "base/unique_fd.hpp"
#include "keeper/wire.hpp"

namespace circus::bin {

class SharedPage {
  public:
    SharedPage() = default;
    explicit SharedPage(const UniqueFd& fd) {
        void* const memory =
            fd ? ::mmap(nullptr, keeper::kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0)
               : MAP_FAILED;
        if (memory != MAP_FAILED) page_ = static_cast<keeper::Page*>(memory);
    }
    SharedPage(SharedPage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
    SharedPage& operator=(SharedPage&& other) noexcept {
        std::swap(page_, other.page_);
        return *this;
    }
    ~SharedPage() {
        if (page_) ::munmap(page_, keeper::kPageSize);
    }

    // The facts of so many datagrams have become the arbiter's, and what came of them is saved.
    void took(std::uint64_t datagrams) {
        if (page_) page_->taken.store(datagrams, std::memory_order_release);
    }

    // How the arbiter before this one has ended; empty: as it should. Until this one is ready.
    std::string_view end_before() const {
        return page_ ? std::string_view(page_->end, ::strnlen(page_->end, sizeof page_->end))
                     : std::string_view();
    }

    // A turn of the loop has begun.
    void beat() {
        if (page_) page_->beats.fetch_add(1, std::memory_order_relaxed);
    }
    // Who is being called, for whoever asks why there is no beat any more. May not nest.
    void enter(std::string_view plugin, std::string_view callback) {
        if (!page_) return;
        copy(page_->plugin, plugin);
        copy(page_->callback, callback);
        page_->is_running.store(1, std::memory_order_release);
    }
    void leave() {
        if (page_) page_->is_running.store(0, std::memory_order_release);
    }

  private:
    template <std::size_t Size>
    static void copy(char (&to)[Size], std::string_view text) {
        to[text.copy(to, Size - 1)] = '\0';
    }
    keeper::Page* page_ = nullptr;
};

}  // namespace circus::bin
