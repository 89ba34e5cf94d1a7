#include "plugin/catalog.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include <circus/abi.h>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "plugin/description.hpp"
#include "plugin/loader.hpp"
#include "sys/short_run.hpp"
#include "sys/signals.hpp"

namespace circus::plugin {

namespace fs = std::filesystem;
using config::PluginLookup;

namespace {

bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

std::vector<std::string> plugins_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().extension() == ".so") names.push_back(entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
}

std::string how_it_ended(const sys::ShortRun& run, Milliseconds deadline) {
    if (!run.in_time) return cat("no answer within ", deadline.count() / 1000, " s");
    if (run.signal != 0) return cat("a crash while it was loaded, ", sys::signal_name(run.signal));
    std::string said(trim(run.errors));
    if (said.size() > 200) said = said.substr(0, 200);
    return cat("an exit with ", run.exit_code, " while it was loaded",
               said.empty() ? std::string() : cat(" (", said, ")"));
}

}  // namespace

Catalog::Catalog(std::string describer, std::vector<std::string> folders, Milliseconds deadline)
    : describer_(std::move(describer)), folders_(std::move(folders)), deadline_(deadline) {}

Catalog Catalog::of_this_program() {
    const fs::path here = fs::path(program_file()).parent_path();
    // Built: build/bin beside build/plugins. Installed: bin beside lib/circus/plugins.
    std::vector<std::string> folders;
    for (const char* folder : {"../plugins", "../lib/circus/plugins"}) {
        const fs::path path = (here / folder).lexically_normal();
        std::error_code ignored;
        if (fs::is_directory(path, ignored)) folders.push_back(path.string());
    }
    return {(here / "circus-plugin").string(), std::move(folders)};
}

PluginLookup Catalog::find(std::string_view use, const std::vector<std::string>& folders) const {
    if (use.starts_with('/')) {
        if (is_file(use)) return describe(std::string(use));
        return {.text = cat("there is no file ", use)};
    }
    std::vector<std::string> searched = folders;
    searched.insert(searched.end(), folders_.begin(), folders_.end());
    std::vector<std::string> names;
    for (const auto& folder : searched) {
        const fs::path file = fs::path(folder) / cat(use, ".so");
        if (is_file(file)) return describe(file.string());
        for (auto& name : plugins_in(folder)) names.push_back(std::move(name));
    }
    const auto near = did_you_mean(use, names);
    const std::string where =
        searched.empty() ? "there is no folder of plugins" : cat("no such plugin in ", join(searched, ", "));
    return {.text = near ? cat(where, "; did you mean \"", *near, "\"?") : where};
}

PluginLookup Catalog::describe(const std::string& file) const {
    PluginLookup found{.what = PluginLookup::What::Broken, .file = file};
    const auto broken = [&](const std::string& why) {
        found.text = cat(file, ": ", why);
        return found;
    };
    const auto run = sys::run_for_answer({describer_, "--describe", file}, deadline_);
    if (!run) return broken(cat("describe: ", run.error().text));
    const Json answer = parse_json(run->output);
    if (run->in_time && answer.is_object() && answer.contains("error") && answer["error"].is_string())
        return broken(answer["error"].get<std::string>());
    const bool answered = run->in_time && run->signal == 0 && run->exit_code == 0;
    const auto description = answered ? description_from(answer) : Result<Description>(Error{});
    if (!description)
        return broken(fault("describe", answered ? "no description" : how_it_ended(*run, deadline_),
                            "a library that can be loaded"));
    found.what = PluginLookup::What::Found;
    found.name = description->name;
    found.version = description->version;
    found.summary = description->summary;
    found.options = description->options;
    found.has_stream_classes = std::find(description->needs.begin(), description->needs.end(),
                                         CIRCUS_EXT_SINKS) != description->needs.end();
    return found;
}

}  // namespace circus::plugin
