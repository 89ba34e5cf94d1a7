#include "control/keygen.hpp"

#include <array>
#include <string>

#include <nlohmann/json.hpp>
#include <zmq.h>

#include "base/text.hpp"
#include "config/curve_files.hpp"
#include "control/new_file.hpp"
#include "control/output.hpp"

namespace circus::control {

int run_keygen(const Json& properties) {
    const std::string file = properties.value("file", "");
    const std::string server = properties.value("server", "");
    if (!server.empty() && !config::is_key(server))
        return complain(cat("circusctl: option --server: not a public key: ", py_repr(server),
                            "; it is the line \"public\" of the daemon's file"),
                        Exit::Usage);
    std::array<char, config::kKeyLength + 1> public_key{}, secret_key{};
    if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0)
        return complain("circusctl: this ZeroMQ was built without CURVE", Exit::Failed);
    const std::string_view own = public_key.data();
    std::string text = cat("# A key for CURVE. Whoever reads the secret one is who it stands for.\npublic  ",
                           own, "\nsecret  ", std::string_view(secret_key.data()), "\n");
    if (!server.empty()) text += cat("server  ", server, "\n");
    if (const Status written = write_new_file(file, text, 0600); !written)
        return complain(cat("circusctl: ", written.error().text), Exit::Failed);
    if (server.empty())
        say(cat("curve_secret = \"", file,
                "\" in [circus] makes it the daemon's. A client's file takes its public key:",
                "\n    circusctl keygen FILE --server '", own, "'"));
    else
        say(cat(
            "A line of the daemon's curve_keys, with the role and a name of your choice:\n    operate NAME ",
            own));
    return static_cast<int>(Exit::Ok);
}

}  // namespace circus::control
