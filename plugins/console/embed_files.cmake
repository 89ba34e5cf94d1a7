# embed_files(OUT FILE...): the files as find_asset() of assets.hpp, in the source OUT.
function(embed_files out)
    set(at 0)
    set(bodies)
    set(rows)
    foreach(file ${ARGN})
        get_filename_component(name "${file}" NAME)
        get_filename_component(ending "${file}" LAST_EXT)
        if(ending STREQUAL ".html")
            set(type "text/html; charset=utf-8")
        elseif(ending STREQUAL ".js")
            set(type "text/javascript; charset=utf-8")
        elseif(ending STREQUAL ".css")
            set(type "text/css; charset=utf-8")
        elseif(ending STREQUAL ".txt")
            set(type "text/plain; charset=utf-8")
        else()
            message(FATAL_ERROR "${file}: no type is known for ${ending}")
        endif()
        file(SHA256 "${file}" tag)
        string(SUBSTRING ${tag} 0 16 tag)
        file(READ "${file}" hex HEX)
        string(LENGTH "${hex}" size)
        math(EXPR size "${size} / 2")
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," hex "${hex}")
        string(APPEND bodies "constexpr char kBody${at}[] = {${hex}'\\0'};\n")
        string(APPEND rows "    {\"${name}\", \"${type}\", \"${tag}\", {kBody${at}, ${size}}},\n")
        math(EXPR at "${at} + 1")
    endforeach()
    file(WRITE "${out}" "#include \"assets.hpp\"

namespace console {

namespace {

${bodies}
constexpr Asset kAssets[] = {
${rows}};

}  // namespace

const Asset* find_asset(std::string_view name) {
    for (const Asset& each : kAssets)
        if (each.name == name) return &each;
    return nullptr;
}

}  // namespace console
")
endfunction()
