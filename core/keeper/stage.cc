#include "keeper/spawn_request.hpp"

namespace circus::keeper {

const char* to_string(SpawnStage stage) {
    switch (stage) {
        case SpawnStage::Decode:
            return "reading the spawn plan";
        case SpawnStage::Fork:
            return "fork";
        case SpawnStage::Session:
            return "starting a session";
        case SpawnStage::Descriptors:
            return "placing descriptors";
        case SpawnStage::Rlimit:
            return "setting rlimit";
        case SpawnStage::Nice:
            return "setting nice";
        case SpawnStage::OomScore:
            return "setting oom_score_adj";
        case SpawnStage::Chroot:
            return "changing the root directory";
        case SpawnStage::WorkingDir:
            return "changing to the working directory";
        case SpawnStage::Groups:
            return "setting the supplementary groups";
        case SpawnStage::Gid:
            return "setting gid";
        case SpawnStage::Uid:
            return "setting uid";
        case SpawnStage::NoNewPrivs:
            return "setting no_new_privs";
        case SpawnStage::Exec:
            return "exec";
    }
    return "unknown stage";
}

}  // namespace circus::keeper
