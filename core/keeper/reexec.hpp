// What one keeper's binary must know of another's. Plain numbers: they are compared by a program that is run
// for it (circusd --resumes VERSION) before anything is given up.
#pragma once

#include <cstdint>

namespace circus::keeper {

// Of what a keeper writes down for the binary that it becomes; to be raised with each change of that, of
// Child and of HelloMessage.
constexpr std::uint32_t kKeeperStateVersion = 2;

}  // namespace circus::keeper
