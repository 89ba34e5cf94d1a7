#include "sys/reuseport_group.hpp"

#include <cerrno>
#include <linux/filter.h>
#include <sys/socket.h>

namespace circus::sys {

// A classic program, which needs no privilege (socket(7)). By a random number, since the hash of a packet is
// not there on every interface.
Status steer_to(int listener, const std::vector<unsigned>& those) {
    const auto count = static_cast<__u32>(those.size());
    std::vector<sock_filter> steps{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<__u32>(SKF_AD_OFF + SKF_AD_RANDOM)},
        {BPF_ALU | BPF_MOD | BPF_K, 0, 0, count},
    };
    for (__u32 i = 0; i + 1 < count; ++i) {
        steps.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, i});
        steps.push_back({BPF_RET | BPF_K, 0, 0, those[i]});
    }
    steps.push_back({BPF_RET | BPF_K, 0, 0, those.back()});
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
