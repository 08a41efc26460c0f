//! A KWallet that the log-in has opened calls itself locked until a prompt has completed, which needs no window.

use tokenkeep::storage::Keystore;

use crate::daemons::Other;
use crate::item;

#[test]
fn a_wallet_that_the_log_in_opened_is_used_without_a_display_after_each_log_in() {
    let kwallet = Other::kwallet();
    let item = item(&kwallet.bus);
    for content in [&b"first"[..], b"second"] {
        assert!(kwallet.is_locked(), "until it is asked");
        item.verify().unwrap();
        item.save(&content.into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), content);
        kwallet.log_in_again();
        assert!(kwallet.is_locked(), "until it is asked");
        assert_eq!(item.load().unwrap().unwrap().expose(), content);
        kwallet.log_in_again();
    }
    assert!(item.delete().unwrap());
}
