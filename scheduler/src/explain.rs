//! Why a resource is where it is, or nowhere.
pub(crate) mod record;
