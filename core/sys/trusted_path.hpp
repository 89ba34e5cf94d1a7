// A way to a file on which nobody else has planted anything. Each part of a path is looked up by itself, and
// a symbolic link, in the middle or at the end, is followed only if root or this process's user made it and
// it lies where no other user could have put it: in a directory of root's or of that user's which not
// everybody may write to, or which is sticky. A group that may write to it is trusted. Links of /proc that
// are this user's are followed as the kernel does.
//
// Nothing is kept between two calls; from any thread. Errors have an errno as their code: ELOOP of a link
// that is not followed, and then the text names it and says why.
#pragma once

#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

// Where the last part of a path is to be looked up.
struct Place {
    UniqueFd directory;  // O_PATH
    std::string name;
};
Result<Place> place_of(const std::string& path);

// The same, and each directory that is missing above the last part is made, with what the umask leaves of
// 0777. The directory.
Result<UniqueFd> make_way(const std::string& path);

// open(2).
Result<UniqueFd> open_trusted(const std::string& path, int flags, mode_t mode = 0);

}  // namespace circus::sys
