// SharedMemory: a file in memory (memfd), of which the beginning is mapped and the rest is read and written
// by place, so that it counts as nobody's. Mostly holes: what was never written takes no memory. Owns the
// mapping and the descriptor.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

class SharedMemory {
  public:
    // Zeros.
    static Result<SharedMemory> make(const char* name, std::size_t size, std::size_t mapped);
    // One that another process has made. An error: it is of another size.
    static Result<SharedMemory> open(UniqueFd fd, std::size_t size, std::size_t mapped);
    SharedMemory(SharedMemory&& other) noexcept;
    SharedMemory& operator=(SharedMemory&& other) noexcept;
    ~SharedMemory();

    int fd() const { return fd_.get(); }
    std::span<std::byte> mapped() const { return mapped_; }
    // False: there was no memory for it.
    bool write_at(std::size_t at, std::string_view bytes) const;
    std::string read_at(std::size_t at, std::size_t size) const;

  private:
    SharedMemory(UniqueFd fd, std::span<std::byte> mapped) : fd_(std::move(fd)), mapped_(mapped) {}
    UniqueFd fd_;
    std::span<std::byte> mapped_;
};

}  // namespace circus::sys
