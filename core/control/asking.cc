#include "control/asking.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/curve_files.hpp"
#include "control/answer_fields.hpp"
#include "control/client.hpp"
#include "control/default_endpoint.hpp"
#include "control/output.hpp"

namespace circus::control {

namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr Milliseconds kQuick{500};

// What can be seen from here of why nobody answered.
std::string reason_of_silence(const std::string& endpoint) {
    if (!endpoint.starts_with(kIpc)) return "Either no circusd listens there, or it needs longer than that.";
    const std::string path = endpoint.substr(kIpc.size());
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
        if (errno == EACCES) return "You may not look into its directory: circusd belongs to another user.";
        return "There is no such socket: circusd does not run, or its endpoint is another one.";
    }
    if (::access(path.c_str(), W_OK) != 0)
        return "You may not connect to it: circusd belongs to another user.";
    return "Either circusd is gone, or it needs longer than that for the command.";
}

// The daemon as completion asks it. Patience begins with the first question and is spent by all of them
// together.
class Quick {
  public:
    Quick(std::string endpoint, MaybeKeys keys) : endpoint_(std::move(endpoint)), keys_(std::move(keys)) {}

    Json operator()(const std::string& given, const std::string& command, const Json& properties) {
        const std::string endpoint = given.empty() ? endpoint_ : given;
        const TimePoint now = Monotonic::now();
        if (!deadline_) deadline_ = now + kQuick;
        if (now >= *deadline_ || nobody_is_there(endpoint)) return {};
        auto client = Client::connect(endpoint, keys_);
        if (!client) return {};
        const auto text = client->call(command, properties, *deadline_ - now);
        if (!text) return {};
        Json answer = Json::parse(*text, nullptr, false);
        return field(answer, "status") == "error" ? Json() : answer;
    }

  private:
    std::string endpoint_;
    MaybeKeys keys_;
    std::optional<TimePoint> deadline_;
};

}  // namespace

std::string endpoint_of(const Invocation& invocation) {
    if (!invocation.endpoint.empty()) return invocation.endpoint;
    const char* given = std::getenv("CIRCUSCTL_ENDPOINT");
    return given && *given ? std::string(given) : default_endpoint();
}

Result<MaybeKeys> keys_of(const Invocation& invocation) {
    const char* given = std::getenv("CIRCUSCTL_CURVE");
    const std::string file = !invocation.curve.empty() ? invocation.curve : given ? given : "";
    if (file.empty()) return MaybeKeys();
    auto keys = config::read_keys(file);
    if (!keys) return keys.error();
    for (const auto& [word, key] :
         {std::pair("public", keys->public_key), std::pair("server", keys->server_key)})
        if (key.empty())
            return Error{cat(file, " has no line \"", std::string_view(word),
                             " KEY\"; `circusctl keygen FILE "
                             "--server KEY` makes a client's file")};
    return MaybeKeys(ClientKeys{keys->public_key, keys->secret_key, keys->server_key});
}

bool nobody_is_there(const std::string& endpoint) {
    if (!endpoint.starts_with(kIpc)) return false;
    struct stat found {};
    return ::stat(endpoint.c_str() + kIpc.size(), &found) != 0;
}

int complain_of(const Error& error, const std::string& endpoint, double timeout) {
    if (error.code == EINTR) return static_cast<int>(Exit::Failed);  // by the user, who knows
    if (error.code != ETIMEDOUT) return complain(cat("circusctl: ", error.text), Exit::Failed);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", timeout);
    return complain(cat("Timed out.\n\nNothing was answered at ", endpoint, " within ",
                        std::string_view(seconds), " s. ", reason_of_silence(endpoint),
                        "\nThe endpoint is given by --endpoint or CIRCUSCTL_ENDPOINT, the patience by "
                        "--timeout."),
                    Exit::Failed);
}

Ask quick_ask(const Invocation& own) {
    const auto keys = keys_of(own);
    return Quick(endpoint_of(own), keys ? *keys : MaybeKeys());
}

}  // namespace circus::control
