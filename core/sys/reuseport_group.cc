#include "sys/reuseport_group.hpp"

#include <array>
#include <cerrno>
#include <linux/filter.h>
#include <sys/socket.h>

namespace circus::sys {

// A classic program, which needs no privilege (socket(7)). By a random number, since the hash of a packet is
// not there on every interface.
Status steer_to_first(int listener, unsigned count) {
    std::array<sock_filter, 3> steps{{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<__u32>(SKF_AD_OFF + SKF_AD_RANDOM)},
        {BPF_ALU | BPF_MOD | BPF_K, 0, 0, count},
        {BPF_RET | BPF_A, 0, 0, 0},
    }};
    const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
    if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) != 0)
        return sys_error("steering a group of listeners", errno);
    return Ok{};
}

Status steer_to_all(int listener) {
    const int unused = 0;
    if (::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) != 0 &&
        errno != ENOENT)
        return sys_error("steering a group of listeners", errno);
    return Ok{};
}

}  // namespace circus::sys
