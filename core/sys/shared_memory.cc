#include "sys/shared_memory.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"

namespace circus::sys {

Result<SharedMemory> SharedMemory::make(const char* name, std::size_t size, std::size_t mapped) {
    UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
        return sys_error(cat("cannot make the shared memory ", name), errno);
    return open(std::move(fd), size, mapped);
}

Result<SharedMemory> SharedMemory::open(UniqueFd fd, std::size_t size, std::size_t mapped) {
    struct stat is {};
    if (::fstat(fd.get(), &is) != 0) return sys_error("cannot look at shared memory", errno);
    if (static_cast<std::size_t>(is.st_size) != size) return Error{"shared memory of another size"};
    void* const at = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return sys_error("cannot map shared memory", errno);
    return SharedMemory(std::move(fd), {static_cast<std::byte*>(at), mapped});
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), mapped_(std::exchange(other.mapped_, {})) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(mapped_, other.mapped_);
    return *this;
}

SharedMemory::~SharedMemory() {
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
}

bool SharedMemory::write_at(std::size_t at, std::string_view bytes) const {
    return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
           static_cast<ssize_t>(bytes.size());
}

std::string SharedMemory::read_at(std::size_t at, std::size_t size) const {
    std::string bytes(size, '\0');
    const ssize_t n = ::pread(fd_.get(), bytes.data(), size, static_cast<off_t>(at));
    bytes.resize(static_cast<std::size_t>(n > 0 ? n : 0));
    return bytes;
}

}  // namespace circus::sys
