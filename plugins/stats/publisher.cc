#include "publisher.hpp"

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <zmq.h>

namespace stats {

namespace {

constexpr std::string_view kIpc = "ipc://";

circus::Failure failure(const std::string& endpoint, const std::string& why) {
    return {CIRCUS_E_CONFLICT, "stats_endpoint " + endpoint + ": " + why};
}

// A folder that is there already is somebody's choice and stays as it is.
void make_folder(const std::string& endpoint, const std::string& file) {
    const auto folder = std::filesystem::path(file).parent_path();
    std::error_code error;
    if (folder.empty() || std::filesystem::exists(folder, error)) return;
    std::filesystem::create_directories(folder, error);
    if (error) throw failure(endpoint, "cannot make its folder: " + error.message());
    ::chmod(folder.c_str(), S_IRWXU);
}

}  // namespace

Publisher::Publisher(const std::string& endpoint) : endpoint_(endpoint), context_(zmq_ctx_new()) {
    if (!context_) throw failure(endpoint, "no ZeroMQ context");
    try {
        if (!file().empty()) make_folder(endpoint, file());
        socket_ = zmq_socket(context_, ZMQ_PUB);
        if (!socket_) throw failure(endpoint, zmq_strerror(errno));
        const int no_linger = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof no_linger);
        if (zmq_bind(socket_, endpoint.c_str()) != 0) throw failure(endpoint, zmq_strerror(errno));
        if (!file().empty() && ::chmod(file().c_str(), S_IRUSR | S_IWUSR) != 0)
            throw failure(endpoint, std::error_code(errno, std::generic_category()).message());
    } catch (...) {
        close();
        throw;
    }
}

Publisher::~Publisher() {
    close();
    if (!file().empty()) ::unlink(file().c_str());
}

std::string Publisher::file() const {
    const bool is_file = endpoint_.starts_with(kIpc) && !endpoint_.substr(kIpc.size()).starts_with('@');
    return is_file ? endpoint_.substr(kIpc.size()) : std::string();
}

void Publisher::close() {
    if (socket_) zmq_close(socket_);
    socket_ = nullptr;
    if (context_) zmq_ctx_term(context_);
    context_ = nullptr;
}

void Publisher::send(const Frames& frames) {
    for (const Frame& frame : frames) {
        zmq_send(socket_, frame.topic.data(), frame.topic.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket_, frame.payload.data(), frame.payload.size(), ZMQ_DONTWAIT);
    }
}

}  // namespace stats
