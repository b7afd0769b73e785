//! The disk of the bridge's spool: a small file system of its own, so that it can be full while nothing else is. Mounting one
//! takes root; where that is missing the spool's own limit is what is reached.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SIZE: &str = "size=4m";

pub(crate) struct Disk {
    folder: TempDir,
    mounted: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "chaos-spool"]).arg(folder.path()).status();
        let disk = Self { folder, mounted: mounted.is_ok_and(|status| status.success()) };
        std::fs::create_dir_all(disk.spool()).expect("a folder for the spool");
        disk
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    pub(crate) fn is_small(&self) -> bool {
        self.mounted
    }

    /// The spool's own: never reached where the disk is.
    pub(crate) fn limit(&self) -> &'static str {
        if self.mounted { "1 GiB" } else { "64 KiB" }
    }

    /// Takes every byte that is left, as another program of the machine would.
    pub(crate) fn fill(&self) {
        if !self.mounted {
            return;
        }
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        for size in [64 << 10, 4 << 10, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        if self.mounted {
            std::fs::remove_file(self.ballast()).expect("the ballast is removed");
        }
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: the bridge may not have ended yet.
            let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        }
    }
}
