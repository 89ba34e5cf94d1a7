#include "plugin/private_router.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "plugin/frames.hpp"
#include "plugin/host_table.hpp"

namespace circus::plugin {

namespace {

// Where sockets that nobody is to see live: short, for a unix socket's path has 107 bytes.
std::string runtime_folder() {
    if (::geteuid() == 0 && ::access("/run", W_OK) == 0) return "/run";
    const char* const own = std::getenv("XDG_RUNTIME_DIR");
    return own && *own && ::access(own, W_OK) == 0 ? own : "/tmp";
}

// Empty: somebody else has it.
std::string own_folder(const std::string& path) {
    struct stat found {};
    if (::mkdir(path.c_str(), 0700) != 0 && (::lstat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) ||
                                             found.st_uid != ::geteuid() || (found.st_mode & 0777) != 0700))
        return {};
    ::unlink(cat(path, "/plugins").c_str());
    return path;
}

std::string random_word() {
    unsigned char bytes[16];
    if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) std::abort();
    std::string word;
    for (const unsigned char byte : bytes) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
        word += digits;
    }
    return word;
}

}  // namespace

PrivateRouter::~PrivateRouter() {
    pump_.reset();
    if (folder_.empty()) return;
    ::unlink((folder_ + "/plugins").c_str());
    ::rmdir(folder_.c_str());
}

Status PrivateRouter::open() {
    if (pump_) return Ok{};
    loop::ZmqPump::Options options;
    options.send_queue = options.receive_queue = static_cast<int>(kMostEvents);
    auto pump = loop::ZmqPump::make(loop_, context_, loop::ZmqPump::Kind::Router, options,
                                    [this](loop::Frames&& frames) {
                                        if (frames.size() == 2) receive(frames[0], frames[1]);
                                    });
    if (!pump) return pump.error();
    if (folder_.empty() && !name_.empty()) folder_ = own_folder(cat(runtime_folder(), "/circus-", name_));
    if (folder_.empty()) {
        std::string folder = runtime_folder() + "/circus-XXXXXX";
        if (!::mkdtemp(folder.data())) return sys_error(cat("cannot make a folder like ", folder), errno);
        folder_ = folder;
    }
    endpoint_ = cat("ipc://", folder_, "/plugins");
    if (const Status bound = pump->bind(endpoint_); !bound) return bound.error();
    pump_.emplace(std::move(*pump));
    return Ok{};
}

std::string PrivateRouter::enter(Client& client) {
    std::string token = random_word();
    clients_[token] = {&client, {}};
    return token;
}

void PrivateRouter::leave(const std::string& token) {
    forget_peer(token);
    clients_.erase(token);
}

void PrivateRouter::forget_peer(const std::string& token) {
    const auto at = clients_.find(token);
    if (at == clients_.end()) return;
    identities_.erase(at->second.identity);
    at->second.identity.clear();
}

bool PrivateRouter::send(const std::string& token, std::string text, std::string bytes) {
    const auto at = clients_.find(token);
    if (at == clients_.end() || at->second.identity.empty()) return false;
    loop::Frames frames{at->second.identity, std::move(text)};
    if (!bytes.empty()) frames.push_back(std::move(bytes));
    return pump_->send(frames);
}

void PrivateRouter::receive(const std::string& identity, const std::string& text) {
    const Json message = parse_frame(text);
    if (!message.is_object()) return;
    try {
        const auto known = identities_.find(identity);
        if (known != identities_.end()) return clients_.at(known->second).client->on_message(message);
        if (message["m"] != "hello") return;
        const auto at = clients_.find(message.at("token").get<std::string>());
        if (at == clients_.end()) {
            log::warning("somebody without a token has connected to the socket of isolated plugins");
            return;
        }
        forget_peer(at->first);
        at->second.identity = identity;
        identities_[identity] = at->first;
        at->second.client->on_hello();
    } catch (const Json::exception& wrong) {
        // A member is missing or of another type: no circus-plugin of this version says so.
        log::error(cat("a message of an isolated plugin makes no sense: ", std::string_view(wrong.what())));
    }
}

}  // namespace circus::plugin
