//! `pibake flash` on loop devices as cards.

mod cards;
mod ended;
mod faulty;
mod fleet;
mod refused;
mod station;
mod udisks;
mod whose;
mod work;

use libtest_mimic::Trial;
use rustix::process::Signal;

pub fn trials() -> Vec<Trial> {
    let trials = vec![
        Trial::test("flash::a_card_holds_what_build_makes", || cards::same_as_build(512)),
        Trial::test("flash::a_card_with_sectors_of_4096_bytes_too", || cards::same_as_build(4096)),
        Trial::test("flash::an_image_that_is_larger_than_its_base", cards::larger_than_the_base),
        Trial::test("flash::the_kernel_reads_the_new_partitions", cards::partitions_are_read_anew),
        Trial::test("flash::two_cards_at_once_and_one_that_is_too_small", cards::several),
        Trial::test("flash::an_image_that_was_built_before", cards::an_image),
        Trial::test("flash::nodes_that_are_in_a_registry", fleet::from_a_registry),
        Trial::test("station::cards_are_made_one_after_the_other", station::one_after_the_other),
        Trial::test("station::cards_are_made_in_batches", station::in_batches),
        Trial::test("station::five_readers_make_five_cards_at_a_time", station::with_five_readers),
        Trial::test(
            "station::a_node_comes_back_when_its_reader_is_pulled_out",
            station::a_reader_is_pulled_out,
        ),
        Trial::test("station::nodes_are_free_again_when_it_is_stopped", station::stopped),
        Trial::test("station::a_line_that_breaks_is_waited_for", station::the_line_breaks),
        Trial::test("station::two_at_once_make_each_node_once", station::two_at_once),
        Trial::test("flash::what_is_in_use_is_refused", refused::in_use),
        Trial::test("flash::what_is_in_use_in_part_or_elsewhere_is_refused", refused::in_use_below),
        Trial::test("flash::who_may_not_write_is_told_what_to_type", refused::no_permission),
        Trial::test("flash::who_may_not_write_is_asked_by_udisks", udisks::desktop),
        // it knows the drives that udev tells it of
        Trial::test("flash::the_real_udisks_opens_a_card", udisks::real).with_ignored_flag(!has_udev()),
        Trial::test("flash::what_a_desktop_mounted_is_unmounted", refused::unmounted),
        Trial::test("flash::what_is_no_card_is_refused", refused::no_card),
        Trial::test("flash::without_the_right_answer_nothing_happens", refused::answers),
        Trial::test("flash::the_question_tells_what_the_card_is", whose::whose),
        Trial::test("flash::errors_of_the_drive", ended::drive_errors),
        Trial::test("flash::killed_at_any_moment", || ended::at_any_moment(Signal::KILL)),
        Trial::test("flash::stopped_at_any_moment", || ended::at_any_moment(Signal::INT)),
    ];
    trials.into_iter().chain(faulty::trials()).collect()
}

/// Whether this machine's udevd runs; a container mostly has none.
fn has_udev() -> bool {
    std::path::Path::new("/run/udev/control").exists()
}
