#include "convert/convert.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "base/text.hpp"
#include "convert/readers.hpp"

namespace circus::convert {
namespace {

struct Row {
    Format format;
    std::string_view name;
    void (*read)(const std::string& file, std::string_view text, Stack& stack);
};
constexpr Row kFormats[] = {
    {Format::Circus, "circus", read_circus_ini},
    {Format::Supervisor, "supervisor", read_supervisor},
    {Format::Procfile, "procfile", read_procfile},
    {Format::Pm2, "pm2", read_pm2},
};

bool begins_any(std::string_view line, std::initializer_list<std::string_view> with) {
    return std::any_of(with.begin(), with.end(), [line](std::string_view w) { return line.starts_with(w); });
}

bool is_javascript(const std::string& file) {
    const std::string extension = std::filesystem::path(file).extension().string();
    return extension == ".js" || extension == ".cjs" || extension == ".mjs" || extension == ".ts";
}

std::optional<Format> by_sections(std::string_view text) {
    for (const auto& whole : split(text, '\n')) {
        const std::string_view line = trim(whole);
        if (begins_any(line, {"[circus]", "[watcher:", "[socket:", "[plugin:", "[env]", "[env:"}))
            return Format::Circus;
        if (begins_any(line, {"[supervisord]", "[program:", "[fcgi-program:", "[eventlistener:", "[group:",
                              "[unix_http_server]", "[inet_http_server]", "[supervisorctl]"}))
            return Format::Supervisor;
    }
    return std::nullopt;
}

std::optional<Format> by_name(const std::string& file) {
    const std::filesystem::path path(file);
    const std::string name = to_lower(path.filename().string());
    if (name.starts_with("procfile")) return Format::Procfile;
    if (path.extension() == ".json") return Format::Pm2;
    return std::nullopt;
}

std::optional<Format> detected(const std::string& file, std::string_view text) {
    if (const auto format = by_name(file)) return format;
    if (const auto format = by_sections(text)) return format;
    const std::string_view begin = trim(text);
    if (begin.starts_with("{") || begin.starts_with("//") || begin.starts_with("/*") ||
        (begin.starts_with("[") && trim(begin.substr(1)).starts_with("{")))
        return Format::Pm2;
    for (const auto& whole : split(text, '\n')) {
        const std::string_view line = trim(whole);
        if (line.empty() || line.front() == '#') continue;
        const size_t colon = line.find(':');
        const bool named = colon != std::string_view::npos &&
                           line.substr(0, colon).find_first_of(" \t=[") == std::string_view::npos;
        return named ? std::optional(Format::Procfile) : std::nullopt;
    }
    return std::nullopt;
}

Converted failed(const std::string& file, std::string text) {
    return {{}, {{{file, 0}, std::move(text)}}};
}

}  // namespace

std::optional<Format> find_format(std::string_view name) {
    for (const auto& row : kFormats)
        if (row.name == to_lower(name)) return row.format;
    return std::nullopt;
}

Converted convert(const std::string& file, std::optional<Format> format) {
    const auto text = read_source(file);
    if (!text) return failed(file, text.error().text);
    if (is_javascript(file))
        return failed(file, cat("is JavaScript, and only JSON is read; print it as JSON with\n  node -p "
                                "'JSON.stringify(require(\"",
                                std::filesystem::absolute(file).string(), "\"), null, 2)' > ecosystem.json"));
    if (!format) format = detected(file, *text);
    if (!format)
        return failed(file,
                      "is none of circus.ini, supervisord.conf, Procfile and pm2 ecosystem JSON; name the "
                      "format with --from");
    const Row& row = *std::find_if(std::begin(kFormats), std::end(kFormats),
                                   [&](const Row& r) { return r.format == *format; });
    Stack stack;
    stack.note(cat("Made from ", file, " by circusctl convert --from ", row.name, "."));
    row.read(file, *text, stack);
    review(stack);
    std::stable_sort(stack.problems.begin(), stack.problems.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.at.file, a.at.line) < std::tie(b.at.file, b.at.line);
    });
    return {write_toml(stack), std::move(stack.problems)};
}

}  // namespace circus::convert
