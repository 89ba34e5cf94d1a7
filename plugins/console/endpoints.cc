#include "endpoints.hpp"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace console {

namespace {

constexpr std::size_t kLongestUnixPath = 107;  // of sockaddr_un, less the NUL
constexpr std::size_t kKeyLength = 40;
constexpr std::size_t kLongestFile = 64 << 10;
constexpr std::size_t kMostEndpoints = 64;

circus::Failure invalid(const std::string& what, const std::string& why) {
    return {CIRCUS_E_INVALID, what + ": " + why};
}

bool is_name(const std::string& name) {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return !name.empty() && name.size() <= 64 && name.find_first_not_of(kLetters) == std::string::npos;
}

bool is_address(std::string_view text) {
    constexpr std::string_view kIpc = "ipc://";
    constexpr std::string_view kTcp = "tcp://";
    if (text.starts_with(kIpc)) {
        const auto length = text.size() - kIpc.size();
        return length > 0 && length <= kLongestUnixPath;
    }
    if (!text.starts_with(kTcp)) return false;
    text.remove_prefix(kTcp.size());
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    const std::string_view port = text.substr(colon + 1);
    unsigned number = 0;
    const auto [rest, wrong] = std::from_chars(port.data(), port.data() + port.size(), number);
    return wrong == std::errc() && rest == port.data() + port.size() && number >= 1 && number <= 65535;
}

class OpenFile {
  public:
    explicit OpenFile(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    ~OpenFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    int fd() const { return fd_; }

  private:
    int fd_;
};

circus::Failure unreadable(const std::string& file) {
    return {CIRCUS_E_INVALID, "cannot read " + file + ": " + std::system_category().message(errno)};
}

// The text of a file that nobody else may look into.
std::string read_secret_file(const std::string& file) {
    const OpenFile opened(file);
    struct stat found {};
    if (opened.fd() < 0 || ::fstat(opened.fd(), &found) != 0) throw unreadable(file);
    if (!S_ISREG(found.st_mode)) throw invalid(file, "is not a file");
    if (found.st_uid != 0 && found.st_uid != ::geteuid())
        throw invalid(file, "belongs to another user (uid " + std::to_string(found.st_uid) + "); chown it");
    if ((found.st_mode & 077) != 0) throw invalid(file, "is open to others; chmod 600 it");
    std::string text(kLongestFile, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(opened.fd(), text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw unreadable(file);
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    return text;
}

std::string text_of(const circus::Json& entry, const char* key, const std::string& option) {
    const auto at = entry.find(key);
    if (at == entry.end()) return {};
    if (!at->is_string()) throw invalid(option, std::string(key) + " must be a text");
    return at->get<std::string>();
}

std::string address_of(const circus::Json& entry, const char* key, const std::string& option) {
    std::string address = text_of(entry, key, option);
    if (!address.empty() && !is_address(address))
        throw invalid(option, std::string(key) + " = \"" + address +
                                  "\": write ipc://PATH or tcp://HOST:PORT, with a path of at most " +
                                  std::to_string(kLongestUnixPath) + " bytes");
    return address;
}

EndpointSettings read_endpoint(const std::string& name, const circus::Json& given) {
    const std::string option = "endpoints." + name;
    if (!is_name(name)) throw invalid(option, "a name has letters, digits, and _ . -, at most 64 of them");
    if (!given.is_string() && !given.is_object())
        throw invalid(option, "write \"ipc://PATH\", \"tcp://HOST:PORT\" or { endpoint = \"…\" }");
    const circus::Json entry = given.is_object() ? given : circus::Json{{"endpoint", given}};
    for (const auto& each : entry.items())
        if (each.key() != "endpoint" && each.key() != "pubsub_endpoint" && each.key() != "curve")
            throw invalid(option, "has endpoint, pubsub_endpoint and curve, not \"" + each.key() + "\"");
    EndpointSettings endpoint{name, address_of(entry, "endpoint", option),
                              address_of(entry, "pubsub_endpoint", option), std::nullopt};
    if (endpoint.control.empty()) throw invalid(option, "endpoint is missing: ipc://PATH or tcp://HOST:PORT");
    if (const std::string file = text_of(entry, "curve", option); !file.empty()) {
        if (!endpoint.control.starts_with("tcp:"))
            throw invalid(option, "curve is for tcp endpoints; leave it away");
        endpoint.keys = read_curve_file(file);
    }
    return endpoint;
}

}  // namespace

CurveKeys read_curve_file(const std::string& file) {
    CurveKeys keys;
    std::istringstream lines(read_secret_file(file));
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        std::istringstream words(line);
        std::string word;
        std::string key;
        std::string more;
        if (!(words >> word) || word.starts_with('#')) continue;
        std::string* const place = word == "public"   ? &keys.public_key
                                   : word == "secret" ? &keys.secret_key
                                   : word == "server" ? &keys.server_key
                                                      : nullptr;
        const std::string where = file + ":" + std::to_string(number);
        if (!place)
            throw invalid(where, "\"" + word + "\" is no word of a key file: public, secret or server");
        if (!(words >> key) || words >> more || key.size() != kKeyLength)
            throw invalid(
                where, "behind " + word + " belongs a key of " + std::to_string(kKeyLength) + " characters");
        *place = key;
    }
    for (const auto& [word, key] :
         {std::pair{"public", &keys.public_key}, {"secret", &keys.secret_key}, {"server", &keys.server_key}})
        if (key->empty())
            throw invalid(file, "has no line \"" + std::string(word) +
                                    " KEY\"; `circusctl keygen FILE --server KEY` makes a client's file");
    return keys;
}

std::vector<EndpointSettings> read_endpoints(const circus::Json& endpoints) {
    std::vector<EndpointSettings> found;
    if (endpoints.size() > kMostEndpoints)
        throw invalid("endpoints", "at most " + std::to_string(kMostEndpoints));
    for (const auto& [name, entry] : endpoints.items()) found.push_back(read_endpoint(name, entry));
    return found;
}

std::string reachable_events(const std::string& events, const std::string& control) {
    for (const std::string_view any : {"tcp://0.0.0.0:", "tcp://*:", "tcp://[::]:"})
        if (events.starts_with(any) && control.starts_with("tcp://"))
            return control.substr(0, control.rfind(':')) + events.substr(any.size() - 1);
    return events;
}

}  // namespace console
