// Any bytes as the files of /proc that both processes read, and as a lock file's text. The readers are inside
// of their files: a process chooses what its name, its command line and its environment say.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>

#include "keeper/tree.cc"
#include "sys/instance_file.hpp"
#include "sys/procfs.cc"

namespace {

int file_of(const std::uint8_t* data, std::size_t size) {
    static const int fd = ::memfd_create("proc", MFD_CLOEXEC);
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    ::lseek(fd, 0, SEEK_SET);
    return fd;
}

void read_by_sys(std::string_view text, int fd) {
    using namespace circus::sys;
    ProcessFigures figures;
    parse_stat(text, figures);
    std::vector<pid_t> children;
    append_numbers_of_file(fd, children);
    InstanceHeader::parse(text, "b");
    if (const auto row = ChildRow::parse(text); row && !ChildRow::parse(row->to_text())) std::abort();
    if (const auto keeper = keeper_of(text); keeper && keeper->pid <= 0) std::abort();
}

void read_by_keeper(const std::uint8_t* data, std::size_t size) {
    using namespace circus::keeper;
    std::string text(reinterpret_cast<const char*>(data), size);
    ProcessStat stat;
    parse_stat(text.data(), text.size(), stat);
    static ProcessList list;
    list.clear();
    append_numbers_of(file_of(data, size), 1, list);
    find_mark(file_of(data, size), "1-2");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 4096) return 0;
    read_by_sys({reinterpret_cast<const char*>(data), size}, file_of(data, size));
    read_by_keeper(data, size);
    return 0;
}
