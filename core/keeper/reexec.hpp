// What one keeper's binary must know of another's. Plain numbers: they are compared by a program that is run
// for it (circusd --resumes VERSION) before anything is given up.
//
// A keeper leaves the binary that it becomes a way back: a descriptor of its own. Whatever goes wrong before
// an arbiter of the new binary was ready, the new keeper becomes the old one again.
#pragma once

#include <cstdint>

namespace circus::keeper {

// Of what a keeper writes down for the binary that it becomes; to be raised with each change of that, of
// Child and of HelloMessage. Who raises it also writes what the version before reads, for the way back.
constexpr std::uint32_t kKeeperStateVersion = 3;
// The oldest that is still read: it has no way back, and a shorter HelloMessage.
constexpr std::uint32_t kOldestKeeperState = 2;

constexpr bool is_known_state(std::uint32_t version) {
    return version >= kOldestKeeperState && version <= kKeeperStateVersion;
}

// Whether a Service can take up what the binary before has written down. Reads without moving the offset.
bool can_take_up(int state);
// Becomes the binary before again, which finds everything as it left it: only to be called before anything of
// it was touched. `argv` is this process's, without its last word. Returns, with an errno, only if it failed.
int hand_back(int state, char* const* argv);

}  // namespace circus::keeper
