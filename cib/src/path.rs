//! Places in a document: positions of nodes from the outermost element inwards.

use crate::tree::{Element, Node};

/// Positions among all nodes of each level; empty is the outermost element itself.
pub type Path = Vec<usize>;

/// The element at a place.
pub fn get<'a>(root: &'a Element, path: &[usize]) -> Option<&'a Element> {
    path.iter().try_fold(root, |element, position| {
        element.nodes().get(*position)?.as_element()
    })
}

/// The element at a place, to be edited (which copies all on the way there).
pub fn get_mut<'a>(root: &'a mut Element, path: &[usize]) -> Option<&'a mut Element> {
    let mut element = root;
    for position in path {
        element = match element.nodes_mut().get_mut(*position)? {
            Node::Element(inner) => inner,
            _ => return None,
        };
    }
    Some(element)
}

/// Takes out the node at a place; the outermost element stays.
pub fn remove(root: &mut Element, path: &[usize]) -> Option<Node> {
    let (last, parent) = path.split_last()?;
    get_mut(root, parent)?.remove_node(*last)
}

/// The first element below `root` or itself for which `wanted` holds, depth first.
pub fn find(root: &Element, wanted: &dyn Fn(&Element) -> bool) -> Option<Path> {
    let mut path = Path::new();
    descend(root, wanted, &mut path).then_some(path)
}

fn descend(element: &Element, wanted: &dyn Fn(&Element) -> bool, path: &mut Path) -> bool {
    if wanted(element) {
        return true;
    }
    for (position, node) in element.nodes().iter().enumerate() {
        if let Some(child) = node.as_element() {
            path.push(position);
            if descend(child, wanted, path) {
                return true;
            }
            path.pop();
        }
    }
    false
}
