#include "trail.hpp"

#include <array>
#include <deque>
#include <sys/stat.h>
#include <unistd.h>

namespace command_reloader {

namespace {

void put_in_front(std::deque<std::string>& names, const std::string& path) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; from < path.size();) {
        const std::size_t to = std::min(path.find('/', from), path.size());
        if (to > from) parts.push_back(path.substr(from, to - from));
        from = to + 1;
    }
    names.insert(names.begin(), parts.begin(), parts.end());
}

Signature signature_of(const std::string& path, const struct stat& of) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    return {path, of.st_dev, of.st_ino, of.st_size, of.st_mtim.tv_sec * kSecond + of.st_mtim.tv_nsec};
}

}  // namespace

Trail follow(const std::string& path) {
    constexpr int kMostLinks = 40;  // as the kernel
    Trail trail;
    std::deque<std::string> names;
    put_in_front(names, path);
    std::string directory;  // "" is the root
    for (int links = 0; !names.empty();) {
        const std::string name = std::move(names.front());
        names.pop_front();
        if (name == ".") continue;
        if (name == "..") {
            directory.resize(directory.empty() ? 0 : directory.rfind('/'));
            continue;
        }
        trail.steps.push_back({directory.empty() ? "/" : directory, name});
        std::string here = directory;
        here.append("/").append(name);
        struct stat found {};
        if (::lstat(here.c_str(), &found) != 0) return trail;
        if (S_ISLNK(found.st_mode)) {
            std::array<char, 4096> target{};
            const ssize_t size = ::readlink(here.c_str(), target.data(), target.size());
            if (size <= 0 || ++links > kMostLinks) return trail;
            const std::string to(target.data(), static_cast<std::size_t>(size));
            if (to.front() == '/') directory.clear();
            put_in_front(names, to);
        } else if (S_ISDIR(found.st_mode)) {
            directory = here;
        } else {
            if (!names.empty() || !S_ISREG(found.st_mode)) return trail;
            trail.file = signature_of(here, found);
            trail.links = found.st_nlink;
            trail.executable = (found.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
        }
    }
    return trail;
}

}  // namespace command_reloader
