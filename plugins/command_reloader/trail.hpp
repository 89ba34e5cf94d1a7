// Trail: the way of a path to its file, name by name. Every name on it is in some directory, and a change of
// any of them, a deployment's symbolic link or a folder that is swapped for another, may lead elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace command_reloader {

// What a file was when it was last looked at.
struct Signature {
    std::string path;  // without symbolic links
    std::uint64_t device = 0, inode = 0;
    std::int64_t size = 0, modified_ns = 0;
    auto tie() const { return std::tie(path, device, inode, size, modified_ns); }
    bool operator==(const Signature& other) const { return tie() == other.tie(); }
};

struct Trail {
    struct Step {
        std::string directory, name;
        bool operator==(const Step&) const = default;
    };
    std::vector<Step> steps;        // up to the file, or to the first name that is not there
    std::optional<Signature> file;  // a regular file; nothing: there is none
    std::uint64_t links = 0;        // names that the file has
    bool executable = false;

    bool operator==(const Trail& other) const { return steps == other.steps && file == other.file; }
};

// `path` is absolute. Looks at the file system; never fails.
Trail follow(const std::string& path);

}  // namespace command_reloader
