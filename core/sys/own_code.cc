#include "sys/own_code.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fcntl.h>
#include <link.h>
#include <span>
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.hpp"

namespace circus::sys {

namespace {

// proc_pid_pagemap(5): a page of a file, not a private copy of one.
constexpr std::uint64_t kOfFile = std::uint64_t{1} << 61;

struct Sweep {
    UniqueFd pagemap;
    std::uintptr_t page_size = 4096;
    std::size_t unmapped = 0;
};

// `pages`: what pagemap says of those from `at` on.
void unmap_runs(Sweep& sweep, std::uintptr_t at, std::span<const std::uint64_t> pages) {
    const auto is_of_file = [](std::uint64_t page) { return (page & kOfFile) != 0; };
    for (auto begin = pages.begin(); begin != pages.end();) {
        begin = std::find_if(begin, pages.end(), is_of_file);
        const auto end = std::find_if_not(begin, pages.end(), is_of_file);
        const std::size_t size = static_cast<std::size_t>(end - begin) * sweep.page_size;
        const std::uintptr_t from = at + static_cast<std::size_t>(begin - pages.begin()) * sweep.page_size;
        if (size > 0 && ::madvise(reinterpret_cast<void*>(from), size, MADV_DONTNEED) == 0)
            sweep.unmapped += size;
        begin = end;
    }
}

void unmap_segment(Sweep& sweep, std::uintptr_t begin, std::uintptr_t end) {
    std::array<std::uint64_t, 256> pages;
    for (std::uintptr_t at = begin; at < end;) {
        const std::size_t count = std::min<std::size_t>(pages.size(), (end - at) / sweep.page_size);
        const std::size_t size = count * sizeof(std::uint64_t);
        const auto offset = static_cast<off_t>(at / sweep.page_size * sizeof(std::uint64_t));
        if (::pread(sweep.pagemap.get(), pages.data(), size, offset) != static_cast<ssize_t>(size)) return;
        unmap_runs(sweep, at, std::span(pages).first(count));
        at += count * sweep.page_size;
    }
}

int unmap_object(dl_phdr_info* object, std::size_t, void* context) {
    Sweep& sweep = *static_cast<Sweep*>(context);
    // The executable has no name, what the kernel maps (the vDSO) has one that is no path.
    if (object->dlpi_name[0] != '\0' && object->dlpi_name[0] != '/') return 0;
    // A copy: they lie in one of the segments, and reading on would map it again.
    std::array<ElfW(Phdr), 32> segments;
    const std::size_t count = std::min<std::size_t>(segments.size(), object->dlpi_phnum);
    std::copy_n(object->dlpi_phdr, count, segments.begin());
    for (const auto& segment : std::span(segments).first(count)) {
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
        const std::uintptr_t end = begin + segment.p_memsz + sweep.page_size - 1;
        unmap_segment(sweep, begin & ~(sweep.page_size - 1), end & ~(sweep.page_size - 1));
    }
    return 0;
}

}  // namespace

std::size_t let_go_of_own_code() {
    Sweep sweep;
    sweep.pagemap.reset(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    sweep.page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    if (sweep.pagemap) ::dl_iterate_phdr(unmap_object, &sweep);
    return sweep.unmapped;
}

}  // namespace circus::sys
