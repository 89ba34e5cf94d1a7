// The pages of the program's own files that this process has mapped: code, constants and symbol tables, of
// the executable and of every library it has loaded. Start-up touches most of them (command line, TOML,
// relocation, the constructors of libraries), and with each the kernel maps its neighbours; what comes after
// needs a third.
#pragma once

#include <chrono>
#include <cstddef>

namespace circus::sys {

// How long after its last step a start is given the pages it has touched: its first workers come now, and
// what is unmapped while they do comes back a fault at a time.
constexpr auto kStartLasts = std::chrono::seconds(2);

// Unmaps them all, and says how many bytes that was. Nothing is lost: what is needed again is in the page
// cache and comes back by a minor fault, what is not may be reclaimed without looking for who maps it. A page
// that was written to, as by a debugger that set a breakpoint, stays. No allocation; any thread, and others
// go on.
std::size_t let_go_of_own_code();

}  // namespace circus::sys
